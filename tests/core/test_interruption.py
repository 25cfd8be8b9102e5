"""A signal ends long reading: its handler is not kept waiting until the last step."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from support.strategies import episode

from w2stree import Step, build_forest, build_forest_from_arrow, build_forest_from_texts

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs POSIX timers")


class Stopped(Exception):  # noqa: N818
    pass


def assert_a_signal_stops(call: Callable[[], Any]) -> None:
    """`call` would go on for a second or more; a signal's handler that raises ends it."""

    def stop(*_: object) -> None:
        raise Stopped

    previous = signal.signal(signal.SIGALRM, stop)
    try:
        begin = time.perf_counter()
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        with pytest.raises(Stopped):
            call()
        assert time.perf_counter() - begin < 0.5
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


@pytest.mark.parametrize("way", ["objects", "texts"])
def test_signals_interrupt(way: str) -> None:
    many = 20_000_000
    endless = replace(episode("", 1), steps=[Step("a", "o")] * many)  # type: ignore[arg-type]
    texts = [["a"] * many]
    if way == "objects":
        assert_a_signal_stops(lambda: build_forest([endless]))
    else:
        assert_a_signal_stops(lambda: build_forest_from_texts(["t"], texts, texts, [1.0]))


def test_a_signal_stops_reading_arrow() -> None:
    pa = pytest.importorskip("pyarrow")
    many = 40_000_000
    texts = pa.LargeListArray.from_arrays([0, many], pa.repeat("take the lamp", many))
    table = pa.table(
        {"task_id": ["t"], "actions": texts, "observations": texts, "total_return": [1.0]}
    )
    assert_a_signal_stops(lambda: build_forest_from_arrow(table))
