"""A signal ends long reading: its handler is not kept waiting until the last step."""

from __future__ import annotations

import signal
import time
from dataclasses import replace

import pytest
from support.cpu_alarm import assert_an_alarm_stops
from support.strategies import episode

from w2stree import Step, build_forest
from w2stree.forest import build_forest_from_arrow, build_forest_from_texts

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs POSIX timers")


@pytest.mark.parametrize("way", ["objects", "texts"])
def test_signals_interrupt(way: str) -> None:
    many = 20_000_000
    endless = replace(episode("", 1), steps=[Step("a", "o")] * many)  # type: ignore[arg-type]
    texts = [["a"] * many]
    if way == "objects":
        assert_an_alarm_stops(lambda: build_forest([endless]), after_s=0.02)
    else:
        assert_an_alarm_stops(
            lambda: build_forest_from_texts(["t"], texts, texts, [1.0]), after_s=0.02
        )


def test_a_signal_stops_reading_arrow() -> None:
    pa = pytest.importorskip("pyarrow")
    many = 40_000_000
    texts = pa.LargeListArray.from_arrays([0, many], pa.repeat("take the lamp", many))
    table = pa.table(
        {"task_id": ["t"], "actions": texts, "observations": texts, "total_return": [1.0]}
    )
    begin = time.process_time()
    build_forest_from_arrow(table, num_threads=1)
    whole_s = time.process_time() - begin
    assert_an_alarm_stops(
        lambda: build_forest_from_arrow(table, num_threads=1), after_s=0.02, within_s=whole_s / 2
    )
