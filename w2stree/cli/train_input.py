"""What `w2stree train` is given: told by what is in it, said, and read.

paths ──┬─ of rows alone ──> rows      as chat messages, or as ids
        └─ else ───────────> runs      of any known format, or a saved forest and its runs

A record of chat messages is a run to some tools and a row to others. What stands beside them tells:

    {"messages": …}                                  a row: every assistant turn is to be learned
    {"messages": …, "total_return": 1}               a row of `w2stree paths` or `sft_dataset`
    {"messages": …, "reward": 0}, score, won …       a run, and half of them may have failed
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from w2stree.cli.forests import saved_in
from w2stree.cli.given_paths import is_read_once, matches
from w2stree.cli.inputs import Runs, Source, warn_how_read
from w2stree.cli.say import is_first, say_first
from w2stree.cli.worded_forest import best_runs, worded_forest
from w2stree.errors import InvalidInput
from w2stree.shorten import visible

if TYPE_CHECKING:
    from w2stree.forest.forest import Forest
    from w2stree.rows.row_files import Kind, RowFile
    from w2stree.trajectories.trajectory import Trajectory

_TRAIN = re.compile(r"train([-_.].*)?")
_HELD_OUT = re.compile(r"(test|validation|valid|val|dev|eval)([-_.].*)?")


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one kind, of all paths together."""

    where: str
    kind: Kind
    files: tuple[Path, ...]

    def read(self) -> RowFile:
        from w2stree.rows.row_files import RowFile, read_rows

        found = [read_rows(file) for file in self.files]
        records = [record for rows in found for record in rows.records]
        return RowFile(records, [place for rows in found for place in rows.places])


def rows_in(source: Source) -> Rows | InvalidInput | None:
    """The rows at the paths; None where they are runs, or else why they are no rows: the reader of
    runs may know them, and says what they are.

    Raises `InvalidInput` for rows of two kinds, and for rows beside runs.
    """
    from w2stree.rows.row_files import parts_of
    from w2stree.store.as_files import stored_at

    if source.is_told or saved_in(source):
        return None
    if any(is_read_once(path) or stored_at(path) for path in source.paths):
        return None
    given = [match for path in source.paths for match in _matches(path)]
    files = [part for path in given for part in _to_train(path)]
    kinds = {file: _kind(file) for file in files}
    of_rows = {file: kind for file, kind in kinds.items() if isinstance(kind, Enum)}
    if not of_rows:
        return next((why for why in kinds.values() if isinstance(why, InvalidInput)), None)
    first, kind = next(iter(of_rows.items()))
    for file in files:
        if (other := kinds[file]) is not kind:
            raise InvalidInput(
                f"{_told(first, kind)}; {_told(file, other)}: give one kind at a time"
            )
    for path in given:
        if others := [visible(part.name) for part in parts_of(path) if part not in files]:
            say_first(f"{visible(str(path))}: {', '.join(others)} in it is not trained on")
    return Rows(", ".join(map(visible, source.paths)), kind, tuple(files))


def _matches(path: str) -> list[Path]:
    return matches(path) if glob.has_magic(path) else [Path(path)]


def _to_train(path: Path) -> list[Path]:
    """The files of a path; of a data set's folder those of the split `train`, or all."""
    from w2stree.rows.row_files import parts_of

    parts = parts_of(path)
    return [part for part in parts if part.name.startswith("train")] or parts


def without_held_out(source: Source, runs: Runs) -> Runs:
    """The runs but for what a folder holds out: where one of its files, or folders, is the split
    `train`, those named as a test's or a validation's are. They are counted."""
    held_out = [visible(str(part)) for path in source.paths for part in _held_out(Path(path))]
    for part in held_out:
        begins = tuple(part + mark for mark in (":", "/", os.sep))
        is_in = {
            id(run)
            for run, place in zip(runs.trajectories, runs.places, strict=True)
            if place.startswith(begins)
        }
        runs = runs.only(lambda run: id(run) not in is_in, f"held out ({part})")  # noqa: B023
    return runs


def _held_out(path: Path) -> list[Path]:
    """What a folder, or a store, holds beside its split `train`."""
    from w2stree.rows.row_files import parts_of
    from w2stree.store.catalogue import is_store
    from w2stree.store.store import Store

    if not path.is_dir():
        return []
    if is_store(path):
        with Store(path) as store:
            parts = [path / source.name for source in store.sources() if source.is_newest]
    elif (parts := parts_of(path)) == [path]:
        parts = sorted(path.iterdir())
    has_train = any(_TRAIN.fullmatch(part.name) for part in parts)
    return [part for part in parts if has_train and _HELD_OUT.fullmatch(part.name)]


def _kind(file: Path) -> Kind | InvalidInput | None:
    """Of rows; None for runs, or why it is neither."""
    from w2stree.rows.row_files import kind_of

    try:
        kind = kind_of(file)
    except InvalidInput as error:
        return error
    return kind if kind.is_rows else None


def _told(file: Path, kind: Kind | InvalidInput | None) -> str:
    if isinstance(kind, InvalidInput):
        return str(kind)
    return f"{visible(str(file))}: {kind.value if kind else 'no rows'}"


def refuse_of_runs(rows: Rows, source: Source, options: Mapping[str, object]) -> None:
    """Options that say how runs are read, or what is made of them, are of no use to rows."""
    given = [name for name, value in options.items() if value is not None and value is not False]
    given += source.given
    if given:
        raise InvalidInput(
            f"{', '.join(given)}: of runs or a saved forest; these are {rows.kind.value}, made "
            "before"
        )


def sft_rows(rows: Rows) -> Sequence[Any]:
    """Raises `InvalidInput` for rows of another trainer, and for runs that only look like rows."""
    from w2stree.rows.conversations import conversation
    from w2stree.rows.row_files import Kind

    if rows.kind is Kind.PREFERENCES:
        raise InvalidInput(f"{rows.where}: {rows.kind.value}: w2stree train dpo learns from them")
    say_first(f"{rows.where}: {rows.kind.value}")
    found = rows.read()
    if rows.kind is Kind.TOKENS:
        return found.records
    _refuse_returns(found)
    runs = [conversation(r, p) for r, p in zip(found.records, found.places, strict=True)]
    returns = [run.total_return for run in runs]
    if returns and min(returns) < max(returns):
        say_first(
            f"all {len(runs):,} conversations are imitated, returns {min(returns):g} to "
            f"{max(returns):g}"
        )
    return runs


def _refuse_returns(found: RowFile) -> None:
    """Of conversations: what has a return, or a verdict, as runs have it may be a failure."""
    from w2stree.formats.messages import REWARDS, verdict_in

    for record, place in zip(found.records, found.places, strict=True):
        if (name := verdict_in(record)) is not None:
            as_runs = "--format messages" if name in REWARDS else f"--reward-field {name}"
            raise InvalidInput(
                f"{place}: a conversation with a return ({name}), as runs have it: say what is to "
                f"be imitated. The best run of each task: {as_runs} (and --min-return for "
                f"successes alone); every one, failures too: {as_runs} --all-runs"
            )


def preference_rows(rows: Rows) -> Sequence[Any]:
    """Raises `InvalidInput` for rows of another trainer."""
    from w2stree.rows.conversations import preference_row
    from w2stree.rows.row_files import Kind

    if rows.kind is not Kind.PREFERENCES:
        as_runs = "; if they are runs: --format messages" * (rows.kind is Kind.CONVERSATIONS)
        raise InvalidInput(
            f"{rows.where}: {rows.kind.value}: w2stree train sft learns from them{as_runs}"
        )
    say_first(f"{rows.where}: {rows.kind.value}")
    found = rows.read()
    return [preference_row(r, p) for r, p in zip(found.records, found.places, strict=True)]


def forest_of(
    source: Source,
    trajectories: list[str] | None,
    normalize: str | None,
    why_no_rows: InvalidInput | None,
) -> tuple[Runs, Forest]:
    """The runs and the forest of them; what they are is said, and where each thing was found.

    Raises `InvalidInput` with both reasons where the paths have neither rows nor runs.
    """
    from w2stree.rows.row_files import runs_or_both_reasons

    def read() -> tuple[Runs, Forest]:
        choose = partial(without_held_out, source)
        return worded_forest(source, trajectories, normalize, render_actions=False, choose=choose)

    runs, forest = read() if why_no_rows is None else runs_or_both_reasons(read, why_no_rows)
    saved = saved_in(source)
    say_first(f"{visible(saved)}: a saved forest" if saved else f"{runs.where}: trajectories")
    if is_first():
        warn_how_read(runs)
    return runs, forest


def paths_of(runs: Runs, forest: Forest, *, all_runs: bool, min_return: float | None) -> Runs:
    """The runs to imitate; what is chosen is said, failures among it too."""
    from w2stree.trajectories.returns import at_least

    chosen = runs
    if not all_runs:
        number = {id(run): i for i, run in enumerate(best_runs(forest))}
        chosen = runs.only(lambda run: id(run) in number, "not their task's best")
        chosen = chosen.ordered(lambda run: number[id(run)])
    what = "runs" if all_runs else "tasks' best runs"
    num_chosen = len(chosen.trajectories)
    if min_return is not None:
        chosen = chosen.only(
            lambda run: at_least(run.total_return, min_return), f"of less than {min_return:g}"
        )
    if not chosen.trajectories:
        raise InvalidInput(
            f"--min-return {min_return:g} leaves none of {num_chosen:,} {what}; lower it"
            f"{runs.left_out()}"
        )
    returns = sorted(run.total_return for run in chosen.trajectories)
    say_first(
        f"{len(returns):,} of {num_chosen:,} {what}, returns {returns[0]:g} to {returns[-1]:g}"
        + ("" if min_return is not None else "; --min-return leaves out those below it")
    )
    return chosen


def learned_of(runs: Sequence[Trajectory]) -> list[list[bool]] | None:
    """Which turns are to be learned, where some of AgentTraj's are not; said."""
    from w2stree.formats.agenttraj import learned_turns

    if (flags := learned_turns(runs)) is not None:
        num_left_out = sum(turns.count(False) for turns in flags)
        say_first(f"{num_left_out:,} turns are not to be learned (loss: false) and left out")
    return flags
