"""`w2stree bisect`: the step after which a task's outcomes flip, and whether it is why."""

from __future__ import annotations

import json
import shlex
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from w2stree.cli.before_models import before_models
from w2stree.cli.choice import chosen_runs, chosen_task, run_at, whole_file
from w2stree.cli.extra import needs
from w2stree.cli.forests import (
    Embed,
    Guard,
    MinSimilarity,
    SuccessAt,
    of_a_run_directory,
    read_forest,
    rule_of,
    saved_in,
)
from w2stree.cli.found_step import FoundStep, record_of, say_found
from w2stree.cli.given_paths import is_read_once
from w2stree.cli.inputs import AsJson, Runs, Source, takes_runs
from w2stree.cli.parameters import Normalize, whole_number
from w2stree.cli.progress import Bars
from w2stree.cli.say import say
from w2stree.errors import EnvironmentFailure, Error, ExplorationFailure, InvalidInput
from w2stree.shorten import visible
from w2stree.trajectories.returns import at_least, usual_threshold
from w2stree.trajectories.trajectory import Trajectory

if TYPE_CHECKING:
    from w2stree.experiment.recorded_player import Player
    from w2stree.forest.tree import Tree

_MOST_FLIPS = 5


@takes_runs
def bisect(
    source: Source,
    task: Annotated[
        str | None,
        typer.Option(
            metavar="TASK", help="of this task; its id, or how it begins", show_default=False
        ),
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(
            metavar="N|worst",
            help="the N-th of the task's runs, or the one of least return (default: the first "
            "failed one that takes the likeliest step)",
            show_default=False,
        ),
    ] = None,
    play: Annotated[
        bool, typer.Option(help="play on from the run's steps, where the environment is recorded")
    ] = True,
    policy: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="who plays on: expert, random or a model's directory (default: whoever played)",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(parser=whole_number(at_least=0), metavar="SEED", help="of what is played"),
    ] = 0,
    trust: Annotated[
        bool,
        typer.Option("--trust", help="use the code or the server that the directory names"),
    ] = False,
    success_at: SuccessAt = None,
    min_similarity: MinSimilarity = None,
    embed: Embed = None,
    normalize: Normalize = None,
    guard: Guard = True,
    as_json: AsJson = False,
) -> int:
    """Find the step after which outcomes flip: of one failed run, or of a task.

    A run is named by its place instead of a path, runs.jsonl:17, or chosen by --task and --run;
    with --task alone all runs of the task are asked where most of their failures begin.

    By the runs alone it is the action that parts failures from successes best, with its counts.
    Where the paths are a run directory, its policy then plays on from the run's steps, narrowing
    them down, and the step that is found is verified by playing it against a better action: only
    then it is called the cause (docs/bisect.md).
    """
    rule = rule_of(min_similarity, embed, normalize, guard=guard)
    whole, place = whole_file(of_a_run_directory(source)[0])
    forest, runs = read_forest(whole, rule, task=task if place is None else None)
    index = None if place is None else run_at(runs.places, place)
    task_id = _task(forest.task_ids, task, None if index is None else runs.trajectories[index])
    tree = forest[task_id]
    if index is None and run is not None:
        index = _numbered(runs, task_id, run)
    threshold = _threshold(runs, success_at)
    if index is not None and at_least(runs.trajectories[index].total_return, threshold):
        raise InvalidInput(
            f"this run succeeded (return {runs.trajectories[index].total_return:g}, success from "
            f"{threshold:g} on): choose a failed one; without a run, the task's failures are meant"
        )
    found = _by_the_runs(tree, runs, threshold, index)
    if found.run is not None:
        player, why = _player(whole, play=play, policy=policy, trust=trust)
        found = _by_playing(found, player, seed) if player else _not_played(found, why)
    if as_json:
        say(json.dumps(record_of(found), indent=2))
        return 0
    say_found(found)
    can_be_read_again = rule == type(rule)() and not any(map(is_read_once, whole.paths))
    if (node := found.node) is not None and can_be_read_again:
        alone = [] if task is None or place is not None else ["--task", task_id]
        line = shlex.join([*whole.typed(), *alone, "--node", str(node), "--open"])
        say(f"to see it: w2stree view {line}")
    return 0


# What is looked into -----------------------------------------------------------------------------


def _task(task_ids: Sequence[str], given: str | None, run: Trajectory | None) -> str:
    if run is not None:
        if given is not None and not run.task_id.startswith(given):
            raise InvalidInput(f"the run is of task {visible(run.task_id)}, not of --task {given}")
        return run.task_id
    if given is not None:
        return chosen_task(task_ids, given)
    if len(task_ids) > 1:
        raise InvalidInput(
            f"there are {len(task_ids):,} tasks: choose one by --task (w2stree tasks lists them), "
            "or give a run's place (w2stree show lists them)"
        )
    return task_ids[0]


def _numbered(runs: Runs, task_id: str, run: str) -> int:
    """The index of a task's run that --run names; numbers are `w2stree show`'s but for errors."""
    of_task = [i for i, t in enumerate(runs.trajectories) if t.task_id == task_id]
    places = [runs.places[i] if runs.places else f"run {i}" for i in of_task]
    alone = Runs(runs.where, [runs.trajectories[i] for i in of_task], places, {})
    (found,) = chosen_runs(alone, run=run, sample=None)
    return of_task[found.number - 1]


def _threshold(runs: Runs, given: float | None) -> float:
    if given is not None:
        return given
    returns = [t.total_return for t in runs.trajectories]
    threshold = usual_threshold(min(returns), max(returns))
    if threshold is None:
        raise InvalidInput(
            f"returns lie in [{min(returns):g}, {max(returns):g}]: say from which one on a run is "
            "a success, --success-at"
        )
    return threshold


def _by_the_runs(tree: Tree, runs: Runs, threshold: float, index: int | None) -> FoundStep:
    from w2stree.forest.flips import flips_of, separate_flips

    is_asked = index is not None
    if index is None:
        flips = separate_flips(tree, threshold, most=_MOST_FLIPS)
        index = flips[0].run if flips else _first_failed(tree, runs, threshold)
    else:
        flips = flips_of(tree, threshold, run=index)[:_MOST_FLIPS]
    of_task = [i for i, t in enumerate(runs.trajectories) if t.task_id == tree.task_id]
    places = runs.places or [""] * len(runs.trajectories)  # a saved forest has none
    alone = replace(runs, places=places).only(lambda t: t.task_id == tree.task_id, "of other tasks")
    if not runs.places:
        alone = replace(alone, places=())
    own = None if index is None else of_task.index(index)
    return FoundStep(tree, alone, threshold, own, index, is_asked, flips, None, "")


def _first_failed(tree: Tree, runs: Runs, threshold: float) -> int | None:
    return next(
        (
            i
            for i, t in enumerate(runs.trajectories)
            if t.task_id == tree.task_id and not at_least(t.total_return, threshold)
        ),
        None,
    )


# Playing -----------------------------------------------------------------------------------------


def _player(
    source: Source, *, play: bool, policy: str | None, trust: bool
) -> tuple[Player | None, str]:
    """Who can play on; or why nobody can. What was asked for and cannot be had is an error."""
    if not play:
        return None, "not asked for (--no-play)"
    if len(source.paths) != 1 or source.paths[0] == "-" or saved_in(source) is not None:
        why = "not a run directory, so it is not recorded where they were played"
        if policy is not None:
            raise InvalidInput(f"--policy: {source.paths[0]}: {why}")
        return None, why
    before_models()
    try:
        with needs("explore"):
            from w2stree.experiment.recorded_player import recorded_player
        return recorded_player(Path(source.paths[0]), policy=policy, trust=trust), ""
    except Error as error:
        if policy is not None:
            raise
        return None, str(error)


def _by_playing(found: FoundStep, player: Player, seed: int) -> FoundStep:
    from w2stree.rollouts.bisection import Bisection

    assert found.run is not None
    likely = found.flips[0].step if found.flips else None
    try:
        with (
            player.environment.pool() as pool,
            tempfile.TemporaryDirectory(prefix="w2stree-") as folder,
            Bars() as bars,
            bars.line("continuations") as show,
        ):
            played = Bisection(
                found.run,
                likely=likely,
                folder=Path(folder),
                pool=pool,
                policy=player.policy,
                seed=seed,
                success_threshold=found.threshold,
                instruction=player.instruction,
                progress=lambda count, most: show(count, most, "at most"),
            ).play()
    except (ExplorationFailure, EnvironmentFailure) as failure:
        return _not_played(found, f"playing failed: {failure}")
    return replace(found, played=played, by=player.described)


def _not_played(found: FoundStep, why: str) -> FoundStep:
    return replace(found, played=None, by=why)
