"""Ray on this machine, alone or as a cluster of two machines, of one core each, however busy it is.

Ray gives up on a machine that is not up after 30 s, and on one whose agents are not after 15: where
the tests share their cores with others, both take minutes.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

_PATIENCE = 20
_PORTS = ("metrics_agent_port", "runtime_env_agent_port", "metrics_export_port")
_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_register_timeout_seconds": "600",
    "RAY_agent_register_timeout_ms": "600000",
    "RAY_raylet_start_wait_time_s": "600",
    "RAY_gcs_server_request_timeout_seconds": "600",
    "RAY_gcs_rpc_server_connect_timeout_s": "600",
    "RAY_py_gcs_connect_timeout_s": "600",
    "RAY_health_check_timeout_ms": "120000",
    # Processes forked for clients end now and then, once with gRPC's last words ("epoll_wait error:
    # Bad file descriptor") in their log: without its fork support there is no such thread.
    "GRPC_ENABLE_FORK_SUPPORT": "0",
}
LEFTOVERS = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
"""Of tests: files, sockets and processes that Ray leaves to the garbage collector, and its own
warnings."""
ONE_CORE = {"num_cpus": 1, "object_store_memory": 80_000_000}


@contextmanager
def two_machines(**head: Any) -> Iterator[Any]:
    """The cluster (`ray.cluster_utils.Cluster`); nothing is connected to it. `head`: of the first
    machine, beside what all have."""
    with patient():
        from ray.cluster_utils import Cluster

        head = {"include_dashboard": False, **one_core(), **head}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        try:
            add_machine(cluster)
            yield cluster
        finally:
            cluster.shutdown()


def add_machine(cluster: Any, **more: Any) -> Any:
    """One more machine of one core, once it is there."""
    added = cluster.add_node(**one_core(), **more)
    cluster.wait_for_nodes(timeout=600)
    return added


def one_core() -> dict[str, int]:
    """A machine of it. Ports are chosen, so that nobody waits until the agents have told theirs."""
    return ONE_CORE | dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True))


def free_ports(count: int) -> list[int]:
    """So many that nobody has at the moment."""
    with ExitStack() as open_ones:
        sockets = [open_ones.enter_context(socket.socket()) for _ in range(count)]
        for free in sockets:
            free.bind(("", 0))
        return [free.getsockname()[1] for free in sockets]


@contextmanager
def patient() -> Iterator[None]:
    """Ray waits; its clock for the start of a machine goes slow, and the one port that cannot be
    chosen, of a server that is not run, is told at once."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    import ray._private.node as node
    from ray._raylet import DASHBOARD_AGENT_LISTEN_PORT_NAME, Config, persist_port

    Config.initialize("")  # this process read its settings when Ray was first imported

    start = node.Node.start_raylet

    def start_raylet(self: Any, *arguments: Any, **options: Any) -> Any:
        persist_port(self._session_dir, self._node_id, DASHBOARD_AGENT_LISTEN_PORT_NAME, -1)
        return start(self, *arguments, **options)

    slow = SimpleNamespace(
        sleep=time.sleep, time=time.time, monotonic=lambda: time.monotonic() / _PATIENCE
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(node, "time", slow)
        patch.setattr(node.Node, "start_raylet", start_raylet)
        yield
