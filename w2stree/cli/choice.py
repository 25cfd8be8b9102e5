"""Which task or run is meant.

a task   its id, or how the id begins; where none does so, the ones that are like it are named
a run    runs.jsonl:17, or one of a task's: the N-th, the best, sample N
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from w2stree.cli.inputs import Runs, Source
from w2stree.cli.say import counted
from w2stree.errors import InvalidInput
from w2stree.shorten import visible
from w2stree.trajectories.trajectory import Trajectory

if TYPE_CHECKING:
    from w2stree.store.as_files import StoredFiles

_SHOWN = 20
_FIRST = 3


def chosen_task(task_ids: Iterable[str], given: str) -> str:
    """The task of that id, or the only one whose id begins so; an id counts as it is shown, too.

    Raises `InvalidInput` with the ids that are meant, where they are several, or else are like it.
    """
    ids = list(dict.fromkeys(task_ids))
    if given in ids:
        return given
    begun = tasks_beginning(ids, given)
    if len(begun) == 1:
        return begun[0]
    if begun:
        raise InvalidInput(
            f"{len(begun):,} tasks begin with {given!r}; give more of one's id:{_listed(begun)}"
        )
    raise InvalidInput(no_task(ids, given))


def tasks_beginning(task_ids: Iterable[str], given: str) -> list[str]:
    """Those whose id begins so, as it is or as it is shown."""
    return [t for t in task_ids if t.startswith(given) or visible(t).startswith(given)]


def no_task(task_ids: Iterable[str], given: str) -> str:
    """That there is none, and which are like it."""
    ids = list(task_ids)
    like = [task_id for task_id in ids if given.lower() in task_id.lower()]
    like = like or difflib.get_close_matches(given, ids, n=_SHOWN, cutoff=0.5)
    if like:
        return f"no task begins with {given!r}; did you mean:{_listed(like)}"
    first = "" if len(ids) <= _FIRST else ", the first"
    are = "is" if len(ids) == 1 else "are"
    return (
        f"no task begins with {given!r}; there {are} {counted(len(ids), 'task')}{first}:"
        f"{_listed(ids[:_FIRST])}"
    )


def _listed(ids: list[str]) -> str:
    """Each on a line of its own, whole, so that it can be copied."""
    more = f"\n  and {len(ids) - _SHOWN:,} more" if len(ids) > _SHOWN else ""
    return "".join(f"\n  {visible(task_id)}" for task_id in ids[:_SHOWN]) + more


@dataclass(frozen=True, slots=True)
class ChosenRun:
    """A run among others; `number` is its place in their order, from 1."""

    trajectory: Trajectory
    place: str
    number: int


def all_runs(source: Source) -> Runs:
    """The runs at paths, and single ones at places such as runs.jsonl:17, in the order given.

    Raises `InvalidInput` for a place where no run stands.
    """
    given = source.paths
    placed = _places(given)
    paths = [path if place is None else place[0] for path, place in zip(given, placed, strict=True)]
    read = source.at(*dict.fromkeys(paths)).read()
    if not any(placed):
        return read
    if not all(placed):
        raise InvalidInput("give runs by their places, or paths to choose from, not both")
    number = {place: i for i, place in enumerate(read.places)}
    wanted = [_number(number, place) for place in placed if place]
    num_others = len(read.trajectories) - len(set(wanted))
    return replace(
        read,
        trajectories=[read.trajectories[i] for i in wanted],
        places=[read.places[i] for i in wanted],
        skipped={**read.skipped, "other runs": num_others} if num_others else read.skipped,
    )


def whole_file(source: Source) -> tuple[Source, tuple[str, str] | None]:
    """The source, or, where its only path is a run's place, all that stands in its file, and the
    place: for what looks at a run among others."""
    (place,) = _places(source.paths) if len(source.paths) == 1 else (None,)
    return (source, None) if place is None else (source.at(place[0]), place)


def run_at(places: Sequence[str], place: tuple[str, str]) -> int:
    """Which of the runs stands there; raises `InvalidInput` where none does."""
    return _number({name: i for i, name in enumerate(places)}, place)


def chosen_runs(runs: Runs, *, run: str | None, sample: int | None) -> list[ChosenRun]:
    """Those that `run` (a number, "best", "worst") or `sample` says, or all; never none.

    Raises `InvalidInput` for one that there is not.
    """
    numbers = range(1, len(runs.places) + 1)
    several = list(map(ChosenRun, runs.trajectories, runs.places, numbers))
    if not several:
        raise InvalidInput(f"{runs.where}: there are no runs in it")
    if run is not None and sample is not None:
        raise InvalidInput("--run and --sample are two ways to choose; give one")
    if sample is not None:
        found = [one for one in several if one.trajectory.origin.sample_index == sample]
        if not found:
            raise InvalidInput(f"--sample {sample}: none of {len(several):,} runs is that one")
        return found
    if run is None:
        return several
    if run in ("best", "worst"):
        sign = 1 if run == "best" else -1
        played = [one for one in several if one.trajectory.status != "error"]
        return [max(played or several, key=lambda one: sign * one.trajectory.total_return)]
    if not run.isdecimal() or not 1 <= int(run) <= len(several):
        raise InvalidInput(f"--run {run!r}; give 1 to {len(several):,}, best or worst")
    return [several[int(run) - 1]]


def _places(given: Sequence[str]) -> list[tuple[str, str] | None]:
    """Of each the file and what in it, where it is a place such as runs.jsonl:17; None for a path
    that there is, on the disk or in a store."""
    from w2stree.store.as_files import StoredFiles

    stored = StoredFiles()
    return [_place(path, stored) for path in given]


def _place(given: str, stored: StoredFiles) -> tuple[str, str] | None:
    if Path(given).exists() or given in stored:
        return None
    ends = [i for i, character in enumerate(given) if character == ":"]
    found = ((given[:i], given[i + 1 :].strip()) for i in reversed(ends))
    return next(
        ((path, rest) for path, rest in found if rest and (Path(path).is_file() or path in stored)),
        None,
    )


def _number(number: dict[str, int], place: tuple[str, str]) -> int:
    path, rest = place
    for word in ("", " ", " byte ", " row ", " item "):  # as journals, Parquet and arrays count
        if (named := f"{Path(path)}:{word}{rest}") in number:
            return number[named]
    raise InvalidInput(
        f"{visible(path)}:{visible(rest)}: no run begins there; w2stree show {visible(path)} "
        "lists them"
    )
