"""What a command that ends with nothing says of the runs that ended in an error.

no pairs: …; left out: 1 run that ended in an error (a.jsonl:2: budget exceeded): …
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from w2stree.cli.say import counted
from w2stree.shorten import visible

if TYPE_CHECKING:
    from w2stree.trajectories.trajectory import Trajectory

ERRED = "ended in an error"
"""The reason by which error rows are counted."""

_FIELD = "error, by the field "
"""How the reader's note of a status begins, where a field of the record said it."""

Found = Mapping[str, Mapping[str, int]]


def nothing_played(trajectories: Sequence[Trajectory], found: Found | None = None) -> str:
    """Why there is nothing to look at in what was read: no trajectory, or error rows alone."""
    if not trajectories:
        return "there are no trajectories in it"
    errors = (trajectory.origin.error for trajectory in trajectories)
    first = next((f"; the first: {error}" for error in errors if error), "")
    return f"all of its {len(trajectories):,} trajectories are error rows{first}{_cure(found)}"


def errors_left_out(count: int, first: str, found: Found) -> str:
    """What follows "there is nothing"; "" where no run ended in an error. `first`: the place and
    the cause of the first of them."""
    if not count:
        return ""
    shown = f" ({'' if count == 1 else 'the first: '}{first})" if first else ""
    return f"; left out: {counted(count, 'run')} that {ERRED}{shown}{_cure(found)}"


def first_error(trajectories: Sequence[Trajectory], places: Sequence[str]) -> str:
    """The place of the first error row, and its cause where it is recorded; "" for none."""
    for run, place in zip(trajectories, places, strict=True):
        if run.status == "error":
            cause = f": {visible(run.origin.error)}" if run.origin.error else ""
            return f"{visible(place)}{cause}"
    return ""


def _cure(found: Found | None) -> str:
    """An environment's error says nothing of its task; that of an agent is a failure like others,
    and only the user can tell the two apart."""
    notes = [name for name in (found or {}).get("status", {}) if name.startswith(_FIELD)]
    if not notes:
        return ""
    name = notes[0].removeprefix(_FIELD)
    return (
        f"; if that is the agent's own failure, rename the field {name} in these records, and they "
        "count by their reward (docs/formats.md)"
    )
