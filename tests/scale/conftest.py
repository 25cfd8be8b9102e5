"""One small Ray for all tests that need one: it takes a while to start."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from support.ray_cluster import ONE_CORE, patient


@pytest.fixture(scope="session")
def ray() -> Iterator[Any]:
    ray = pytest.importorskip("ray")
    with warnings.catch_warnings(), patient():
        # Ray's own: files that it leaves to the garbage collector, what it will do about GPUs.
        warnings.simplefilter("ignore")
        # Not one that somebody else has on this machine.
        ray.init("local", log_to_driver=False, include_dashboard=False, **ONE_CORE)
    node = ray._private.worker._global_node
    processes = [one.process for several in node.all_processes.values() for one in several]
    yield ray
    ray.shutdown()
    for process in processes:  # Ray ends them, and does not wait: Python would warn of each
        process.wait()
