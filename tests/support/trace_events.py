"""The trace event format, as far as timelines use it (Google's "Trace Event Format" document):
complete events (X), metadata (M) and instants (i) in a JSON object."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

Event = dict[str, Any]


def check(record: dict[str, Any]) -> list[Event]:
    """The events; each has what its phase asks for, and slices of one thread lie within one
    another or side by side, as Perfetto wants them."""
    assert record["displayTimeUnit"] in ("ms", "ns")
    events: list[Event] = record["traceEvents"]
    threads: dict[tuple[int, int], list[Event]] = defaultdict(list)
    named: set[tuple[int, int]] = set()
    for event in events:
        assert event["ph"] in ("X", "M", "i"), event
        assert isinstance(event["name"], str) and event["name"]
        assert all(isinstance(event[key], int) for key in ("pid", "tid", "ts")), event
        if event["ph"] == "X":
            assert isinstance(event["dur"], int) and event["dur"] >= 0 and event["ts"] >= 0
            assert isinstance(event["args"], dict) and isinstance(event["cat"], str)
            threads[event["pid"], event["tid"]].append(event)
        elif event["ph"] == "i":
            assert event["s"] in ("t", "p", "g")
        elif event["name"].endswith("_name"):
            assert isinstance(event["args"]["name"], str)
            named.add((event["pid"], event["tid"]))
    assert {*threads} <= named and {(pid, 0) for pid, _ in threads} <= named
    for slices in threads.values():
        _check_nested(slices)
    return events


def _check_nested(slices: list[Event]) -> None:
    open_until: list[int] = []
    for event in sorted(slices, key=lambda e: (e["ts"], -e["dur"])):
        end = event["ts"] + event["dur"]
        while open_until and open_until[-1] <= event["ts"]:
            open_until.pop()
        assert not open_until or end <= open_until[-1], event
        open_until.append(end)
