"""Runs with their words, and the forest of them: what rows and training are made of.

runs ────────────────────────────────> Runs ─┐
a saved forest, --trajectories runs ─> Runs ─┴─ the forest, each run with its prompt and turns
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from w2stree.cli.forests import saved_in
from w2stree.cli.inputs import Runs, Source, by_places
from w2stree.errors import InvalidInput
from w2stree.shorten import visible

if TYPE_CHECKING:
    from w2stree.forest.forest import Forest
    from w2stree.trajectories.trajectory import Trajectory

Trajectories: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(metavar="PATH", help="the runs of a saved forest, which keeps no texts of theirs"),
]
RenderActions: TypeAlias = Annotated[
    bool,
    typer.Option("--render-actions", help="a turn of which only the action is known: 'Action: …'"),
]


def worded_forest(
    source: Source,
    trajectories: list[str] | None,
    normalize: str | None,
    *,
    render_actions: bool,
    choose: Callable[[Runs], Runs] | None = None,
) -> tuple[Runs, Forest]:
    """The runs that were finished, and the forest of them, or the saved one with their texts.
    `choose` leaves some out before a forest is made.

    Raises `InvalidInput` for a saved forest without its runs or with a rule of merging, and for
    `trajectories` beside runs.
    """
    from w2stree.forest.build import build_forest, open_forest
    from w2stree.forest.merging import Merging
    from w2stree.rows.worded import rendered

    saved = saved_in(source)
    if saved and not trajectories:
        raise InvalidInput(
            f"{visible(saved)}: a saved forest keeps no prompts and no turns: give the runs "
            "that it was built from with --trajectories"
        )
    if saved and normalize is not None:
        raise InvalidInput(f"--normalize: {visible(saved)} keeps the rule that it was built by")
    if trajectories and not saved:
        raise InvalidInput("--trajectories is of a saved forest; these are the runs themselves")
    runs = (replace(source, paths=trajectories) if trajectories else source).read().finished()
    if choose is not None and not saved:
        runs = choose(runs)
    if render_actions:
        runs = replace(runs, trajectories=[rendered(run) for run in runs.trajectories])
    rule = Merging(normalize_observation=normalize)
    with by_places(runs):
        if saved:
            return runs, open_forest(
                saved, trajectories=runs.trajectories, openings=source.of_a_task
            )
        return runs, build_forest(runs.trajectories, merging=rule, openings=source.of_a_task)


def best_runs(forest: Forest) -> list[Trajectory]:
    """Each task's run. Search asks for the range of all returns where it is not [0, 1]."""
    returns = [t.total_return for t in forest.trajectories]
    span = (min(0.0, *returns), max(1.0, *returns))
    return list(forest.search(return_range=span).best_trajectories())
