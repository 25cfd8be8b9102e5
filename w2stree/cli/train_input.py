"""What `w2stree train` is given: told by what is in it, said, and read.

trajectories │ a saved forest     the runs, or the forest of them
rows                              as chat messages, or as ids
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from w2stree.cli.inputs import nothing_played
from w2stree.cli.say import say_first
from w2stree.errors import InvalidInput
from w2stree.shorten import visible

if TYPE_CHECKING:
    from w2stree.forest.forest import Forest
    from w2stree.rows.row_files import Kind
    from w2stree.trajectories.trajectory import Trajectory


def recognised(path: Path) -> Kind:
    from w2stree.rows.row_files import kind_of

    kind = kind_of(path)
    say_first(f"{visible(str(path))}: {kind.value}")
    return kind


def refuse_of_runs(kind: Kind, options: Mapping[str, object]) -> None:
    given = [name for name, value in options.items() if value]
    if given:
        raise InvalidInput(
            f"{', '.join(given)}: of runs or a saved forest; these are {kind.value}, made before"
        )


def sft_rows(path: Path, kind: Kind) -> Sequence[Any]:
    from w2stree.rows.conversations import conversation
    from w2stree.rows.row_files import Kind, read_rows

    if kind is Kind.PREFERENCES:
        raise InvalidInput(
            f"{visible(str(path))}: {kind.value}: w2stree train dpo learns from them"
        )
    found = read_rows(path)
    if kind is Kind.TOKENS:
        return found.records
    return [conversation(r, p) for r, p in zip(found.records, found.places, strict=True)]


def preference_rows(path: Path, kind: Kind) -> Sequence[Any]:
    from w2stree.rows.conversations import preference_row
    from w2stree.rows.row_files import Kind, read_rows

    if kind is not Kind.PREFERENCES:
        raise InvalidInput(
            f"{visible(str(path))}: {kind.value}: w2stree train sft learns from them"
        )
    found = read_rows(path)
    return [preference_row(r, p) for r, p in zip(found.records, found.places, strict=True)]


def paths_of(
    path: Path,
    kind: Kind,
    trajectories: Path | None,
    *,
    normalize: str | None,
    all_runs: bool,
    min_return: float | None,
) -> list[Trajectory]:
    """The runs to imitate; what is chosen is said, failures among it too."""
    from w2stree.trajectories.returns import at_least

    forest = forest_of(path, kind, trajectories, normalize)
    runs = list(forest.trajectories if all_runs else _best(forest))
    what = "runs" if all_runs else "tasks' best runs"
    kept = [t for t in runs if min_return is None or at_least(t.total_return, min_return)]
    if not kept:
        raise InvalidInput(
            f"--min-return {min_return:g} leaves none of {len(runs):,} {what}; lower it"
        )
    returns = sorted(t.total_return for t in kept)
    say_first(
        f"{len(kept):,} of {len(runs):,} {what}, returns {returns[0]:g} to {returns[-1]:g}"
        + ("" if min_return is not None else "; --min-return leaves out those below it")
    )
    return kept


def learned_of(runs: Sequence[Trajectory]) -> list[list[bool]] | None:
    """Which turns are to be learned, where some of AgentTraj's are not; said."""
    from w2stree.formats.agenttraj import learned_turns

    if (flags := learned_turns(runs)) is not None:
        num_left_out = sum(turns.count(False) for turns in flags)
        say_first(f"{num_left_out:,} turns are not to be learned (loss: false) and left out")
    return flags


def _best(forest: Forest) -> Sequence[Trajectory]:
    """Each task's. Search asks for the range of all returns where it is not [0, 1]."""
    returns = [t.total_return for t in forest.trajectories]
    span = (min(0.0, *returns), max(1.0, *returns))
    return forest.search(return_range=span).best_trajectories()


def forest_of(path: Path, kind: Kind, trajectories: Path | None, normalize: str | None) -> Forest:
    """With the runs' own texts."""
    from w2stree.forest.build import build_forest, open_forest
    from w2stree.forest.merging import Merging
    from w2stree.rows.row_files import Kind
    from w2stree.trajectories.files import read_trajectories

    if kind is Kind.FOREST:
        if trajectories is None:
            raise InvalidInput(
                f"{visible(str(path))}: a saved forest keeps no prompts and no turns: give the "
                "runs that it was built from with --trajectories"
            )
        if normalize is not None:
            raise InvalidInput(
                f"--normalize: {visible(str(path))} keeps the rule that it was built by"
            )
        return open_forest(path, trajectories=read_trajectories(trajectories))
    if trajectories is not None:
        raise InvalidInput("--trajectories is of a saved forest; these are the runs themselves")
    read = read_trajectories(path)
    if all(trajectory.status == "error" for trajectory in read):
        raise InvalidInput(f"{visible(str(path))}: {nothing_played(read)}")
    return build_forest(read, merging=Merging(normalize_observation=normalize))
