"""Drivers that end in every way they can: no environment's process outlives them."""

from __future__ import annotations

import pytest

from bench.faults.failing_environments import Ending, end_driver


@pytest.mark.parametrize("ending", ["return", "exception", "SIGTERM", "SIGINT", "SIGKILL"])
@pytest.mark.parametrize("kind", ["Fine", "HoldsTheLockForGood", "HasChild"])
def test_no_process_outlives_its_driver(kind: str, ending: Ending) -> None:
    before, after, stderr = end_driver(kind, ending)
    assert len(before) >= 4  # two children, two guardians
    assert after == []
    if ending in ("exception", "SIGINT"):
        assert stderr.count("Traceback") == 1  # the driver's own
    else:
        assert stderr == ""


@pytest.mark.java
@pytest.mark.parametrize("ending", ["return", "SIGKILL"])
def test_no_jvm_outlives_its_driver(ending: Ending) -> None:
    pytest.importorskip("textworld_express")
    before, after, _ = end_driver("TextWorldExpress", ending)
    assert sum("java" in line for line in before) == 2
    assert after == []
