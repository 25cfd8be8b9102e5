"""What a format has no place for, kept in a record's own field, so that nothing is lost.

    trajectory ──> record ──> read back ──┐
        └───────────────────────────────> difference ──> record["w2stree"]

    {"messages": […], "reward": 1.0,
     "w2stree": {"of": "3f9a…", "fields": {"status": "truncated"}, "steps": {"2": {"reward": 0.5}}}}

`of` is a digest of what was said: where another tool changed the messages, the rest is of other
ones, and is refused instead of being laid on them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from typing import Any

from w2stree.errors import InvalidInput
from w2stree.formats.reader import Reader, Record
from w2stree.trajectories import fields
from w2stree.trajectories.answers import HEARD
from w2stree.trajectories.json_text import parse_json
from w2stree.trajectories.trajectory import Trajectory

FIELD = "w2stree"

TELLING = frozenset(
    {
        *("messages", "conversations", "items", "input", "output", "instructions", "system"),
        *("prompt", "completion", "traces", "steps", "traj", "trajectory", "attempts", "history"),
        *("schema_version", "eval", "sample", "samples", "meta", "item_id", "total_return"),
        *("resourceSpans", "resourceLogs", "attributes", "context"),
        *("simulations", "simulation", "simulation_index", "termination_reason"),
    }
)
"""Fields that records of some format are told by: those of a run's `info`, which came from another
one, do not stand beside its messages, or the record would be taken for that one's."""

_NUM_DIGITS = 16


def of_info(trajectory: Trajectory, *own: str) -> dict[str, Any]:
    """What of a run's `info` can stand in its record: not the fields that are the format's `own`,
    nor those of another. `left_over` keeps the others."""
    skipped = TELLING | {FIELD, HEARD, *own}
    return {k: v for k, v in trajectory.info.items() if k not in skipped}


def left_over(trajectory: Trajectory, read: Trajectory) -> dict[str, Any] | None:
    """What has to be laid over the trajectory that was `read` back to have the one that was
    written; None where they are equal. Raises `InvalidInput` where their words differ: the format
    cannot hold these."""
    if trajectory == read:
        return None
    if _digest(trajectory) != _digest(read):
        raise InvalidInput(
            f"task {fields.shown(trajectory.task_id)}: this format cannot hold what was said in it "
            "as it was said; write it as w2stree's own (.jsonl)"
        )
    own, other = (json.loads(t.to_json()) for t in (trajectory, read))
    steps = {
        str(i): changed
        for i, (a, b) in enumerate(zip(own.pop("steps"), other.pop("steps"), strict=True))
        if (changed := _changed(a, b))
    }
    return {"of": _digest(read), "fields": _changed(own, other)} | (
        {"steps": steps} if steps else {}
    )


def with_left_over(
    record: Record,
    trajectory: Trajectory,
    runs: Callable[[Record, str, Reader], Iterable[Trajectory]],
) -> Record:
    """A record of a trajectory with what it has no place for, by reading it back (`Format.runs`).
    Raises as `left_over`, and as reading does."""
    (read,) = runs(record, f"task {fields.shown(trajectory.task_id)}", Reader())
    left = left_over(trajectory, read)
    return record if left is None else {**record, FIELD: left}


def restored(read: Trajectory, left: Any, where: str, reader: Reader) -> Trajectory:
    """The trajectory that was written, of the one that was `read` and of what was `left` over.
    What the user chooses to read otherwise stays as it was read."""
    if left is None:
        return read
    if isinstance(left, str):  # of a table
        left = parse_json(left, f"{where}: {FIELD}")
    given = fields.mapping(left, f"{where}: {FIELD}")
    if given.get("of") != _digest(read):
        raise InvalidInput(
            f"{where}: its field {FIELD} was written beside other messages, or for another prompt: "
            f"delete the field {FIELD}, or leave prompt= out"
        )
    choices = reader.choices
    chosen = {
        name
        for name, choice in (("total_return", choices.reward), ("task_id", choices.task))
        if choice is not None
    }
    record = json.loads(read.to_json())
    _lay(record, given.get("fields", {}), chosen, f"{where}: {FIELD}.fields")
    steps = fields.mapping(given.get("steps", {}), f"{where}: {FIELD}.steps")
    kept = set() if choices.action is None else {"action"}
    for number, changes in steps.items():
        if not number.isdecimal() or int(number) >= len(record["steps"]):
            raise InvalidInput(f"{where}: {FIELD}.steps has no step {number}: delete {FIELD}")
        _lay(record["steps"][int(number)], changes, kept, f"{where}: {FIELD}.steps.{number}")
    return Trajectory.from_json(json.dumps(record), where=f"{where}: with {FIELD}")


def _changed(own: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """By field; None where the other one has it alone."""
    return {k: own.get(k) for k in (*own, *other) if k not in other or own.get(k) != other[k]}


def _lay(record: dict[str, Any], changes: Any, kept: set[str], where: str) -> None:
    for name, value in fields.mapping(changes, where).items():
        if name in kept:
            continue
        if value is None:
            record.pop(name, None)
        else:
            record[name] = value


def _digest(trajectory: Trajectory) -> str:
    said = [[m.role, m.content] for m in trajectory.prompt]
    said += [[step.response, step.observation] for step in trajectory.steps]
    return sha256(json.dumps(said).encode()).hexdigest()[:_NUM_DIGITS]
