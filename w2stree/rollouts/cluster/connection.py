"""This process as the driver of a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from w2stree.errors import EngineFailure, not_imported
from w2stree.shorten import visible

try:
    import ray
except ModuleNotFoundError as error:
    raise not_imported(error, "ray", "--engine ray") from None

_STORE_BYTES = 80 << 20  # the least that Ray takes; little lies in it
_CLIENT_STARTS = 3
_NOT_ANSWERED = "ray client connection timeout"


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Connected to Ray within the block: as this process already is; else to `address` ("auto",
    "HOST:PORT", or "ray://HOST:PORT" of Ray's client); else to what RAY_ADDRESS says; else to a Ray
    of its own on this machine, which ends with the block.

    Raises `EngineFailure` where nobody is there.
    """
    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address is None and not os.environ.get("RAY_ADDRESS"):
        # Ray would take one that it finds on this machine, whoever started it.
        address = "local"
        options |= {"include_dashboard": False, "object_store_memory": _STORE_BYTES}
    try:
        _join(address, options)
    except Exception as error:  # a start that takes too long is of no class of its own
        where = address or os.environ.get("RAY_ADDRESS", "")
        raise EngineFailure(
            f"Ray ({visible(where)}): {visible(str(error))}{_advice(str(error))}"
        ) from None
    try:
        yield
    finally:
        ray.shutdown()


def _join(address: str | None, options: dict[str, Any]) -> None:
    """Begin, or be connected. The cluster forks a process for each client, and now and then that
    one ends at once, with whatever words its head has for it (Ray 2.60; `epoll_wait error: Bad file
    descriptor` in that process's log), or is not up in time: one more is asked for."""
    for start in range(1, _CLIENT_STARTS + 1):
        try:
            ray.init(address=address, **options)
            return
        except ConnectionAbortedError:  # of that alone: nobody there is another error
            if start == _CLIENT_STARTS:
                raise


def _advice(error: str) -> str:
    """Ray's client says of a token that the cluster asks for, and it did not send, that nobody
    answered in time (2.60)."""
    if _NOT_ANSWERED not in error or "RAY_AUTH_MODE" in os.environ:
        return ""
    return (
        "; a cluster that asks for a token wants RAY_AUTH_MODE=token here, and its token "
        "(RAY_AUTH_TOKEN, or ~/.ray/auth_token)"
    )
