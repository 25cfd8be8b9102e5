"""An exploration as a timeline: trace events that Perfetto and Chrome's tracing page open.

session 1 ── environment 0  [ task-3, sample 0                    ][ task-3, sample 2 …
                            [ reset ][ says ][ fry egg ][ says ] …
             environment 1  [ task-3, sample 1              ]✕ error
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from w2stree.shorten import excerpt, shorten, visible
from w2stree.trajectories.journal import Key, key_of
from w2stree.trajectories.origin import making
from w2stree.trajectories.replacing import replacing
from w2stree.trajectories.times import EpisodeTimes
from w2stree.trajectories.trajectory import Trajectory

NO_ACTION = "(no action)"
_COLUMNS = 80  # of a slice's name
_MOST = 2_000  # characters of a text in its arguments
_MICROSECONDS = 1e6

Event = dict[str, Any]


def write_timeline(
    trajectories: Iterable[Trajectory],
    times: Mapping[Key, EpisodeTimes],
    path: str | os.PathLike[str],
    *,
    title: str = "exploration",
) -> int:
    """Write the episodes of an exploration whose times are known as trace events; returns how many
    they are.

    A session of the exploration is a process, an environment of its pool a thread, an episode a
    slice named by task and sample, with its status, return and making as arguments. In it lie the
    slices of its turns: `reset`; `says`, from the environment's answer to the policy's, in lockstep
    the wait for the others too; and the action, until the environment had answered. An episode
    that ended in an error has category `error`, and an instant event with the cause at its end.
    Times are microseconds from the first session's begin.

    All or nothing (`trajectories.replacing`). O(steps).
    """
    known = [(t, times[key_of(t)]) for t in trajectories if key_of(t) in times]
    sessions = sorted({played.session for _, played in known})
    events: list[Event] = list(_named(sessions, [played for _, played in known]))
    for trajectory, played in known:
        place = {"pid": sessions.index(played.session) + 1, "tid": played.slot + 1}
        marks = [round(_MICROSECONDS * (mark - sessions[0])) for mark in played.marks]
        events += ({**event, **place} for event in _events(trajectory, marks))
    record = {
        "displayTimeUnit": "ms",
        "otherData": {"title": visible(title), "begun": _when(sessions[0]) if sessions else ""},
        "traceEvents": events,
    }
    with replacing(path) as file:
        json.dump(record, file, separators=(",", ":"))
        file.write("\n")
    return len(known)


def _named(sessions: Sequence[float], known: Sequence[EpisodeTimes]) -> Iterator[Event]:
    """What processes and threads are called, in their order."""
    for pid, session in enumerate(sessions, start=1):
        name = f"session {pid}, {_when(session)}"
        yield _meta("process_name", pid, 0, name=name)
        yield _meta("process_sort_index", pid, 0, sort_index=pid)
        for slot in sorted({played.slot for played in known if played.session == session}):
            yield _meta("thread_name", pid, slot + 1, name=f"environment {slot}")
            yield _meta("thread_sort_index", pid, slot + 1, sort_index=slot)


def _meta(what: str, pid: int, tid: int, **args: Any) -> Event:
    return {"ph": "M", "name": what, "pid": pid, "tid": tid, "ts": 0, "args": args}


def _events(trajectory: Trajectory, marks: Sequence[int]) -> Iterator[Event]:
    origin, is_error = trajectory.origin, trajectory.status == "error"
    category = "episode,error" if is_error else "episode"
    args = {
        "status": trajectory.status,
        "return": trajectory.total_return,
        "steps": len(trajectory.steps),
        **making(origin),
        **({"error": visible(origin.error)} if origin.error else {}),
        **({"truncated_by": visible(origin.truncated_by)} if origin.truncated_by else {}),
    }
    name = f"{visible(trajectory.task_id)}, sample {origin.sample_index}"
    begun, *inner = marks
    yield _slice(name, category, begun, marks[-1], args)
    before = begun
    is_cut = is_error or origin.truncated_by is not None
    for (what, category, more), mark in zip(
        _parts(trajectory), inner if is_cut else inner[:-1], strict=False
    ):
        yield _slice(what, category, before, mark, more)
        before = mark
    if is_error:
        cause = shorten(visible(origin.error or "no cause is recorded"), _COLUMNS)
        yield {"ph": "i", "s": "t", "name": f"error: {cause}", "cat": "error", "ts": marks[-1]}


def _parts(trajectory: Trajectory) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """What lies between marks, in their order; there may be fewer of these."""
    yield "reset", "environment", {}
    for step in trajectory.steps[trajectory.origin.prefix_length :]:
        yield "says", "policy", {"response": _text(step.response)}
        action = visible(step.action) or NO_ACTION
        yield shorten(action, _COLUMNS), "environment", {"observation": _text(step.observation)}
    yield "says", "policy", {}  # of an episode that ended in the midst of a turn
    yield "fails", "error", {}


def _slice(name: str, category: str, begin: int, end: int, args: dict[str, Any]) -> Event:
    dur = end - begin
    return {"ph": "X", "name": name, "cat": category, "ts": begin, "dur": dur, "args": args}


def _text(text: str) -> str:
    return visible(excerpt(text, _MOST), keep_lines=True)


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
