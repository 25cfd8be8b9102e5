"""Ray's limits on its own start, which a busy machine exceeds: tests wait until it is there."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

os.environ |= {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_agent_register_timeout_ms": "1800000",
    "RAY_worker_register_timeout_seconds": "1800",
    "RAY_raylet_start_wait_time_s": "600",
    "RAY_gcs_server_request_timeout_seconds": "600",
}

OPTIONS: dict[str, Any] = {
    "num_cpus": 1,
    "include_dashboard": False,
    "object_store_memory": 80 << 20,
}


@contextmanager
def waiting() -> Iterator[None]:
    """Around the start of a node, which ends after 30 seconds: of a clock that goes slower."""
    from ray._private import node

    clock = node.time
    node.time = SimpleNamespace(**vars(time) | {"monotonic": lambda: time.monotonic() / 20})
    try:
        yield
    finally:
        node.time = clock
