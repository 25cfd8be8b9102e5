"""`w2stree bisect`: the step after which a task's outcomes flip, and whether it is why."""

from __future__ import annotations

import json
import shlex
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
from w2stree.cli.given_paths import is_read_once
from w2stree.cli.inputs import AsJson, Runs, Source, takes_runs
from w2stree.cli.parameters import Normalize, whole_number
from w2stree.cli.progress import Bars, print_table
from w2stree.cli.say import counted, say, terminal_width
from w2stree.cli.transcript import described
from w2stree.errors import EnvironmentFailure, Error, ExplorationFailure, InvalidInput
from w2stree.shorten import shorten, visible
from w2stree.trajectories.returns import at_least, usual_threshold
from w2stree.trajectories.trajectory import Trajectory

if TYPE_CHECKING:
    from w2stree.experiment.recorded_player import Player
    from w2stree.forest.flips import Flip
    from w2stree.forest.tree import Tree
    from w2stree.rollouts.bisection import Bisected

_MOST_FLIPS = 5
_WIDTH = 120  # where no terminal says it
_LEAST_WIDTH = 60


@dataclass(frozen=True, slots=True)
class _Found:
    """What is told: of a task by the runs alone (`flips`), and of one run by playing."""

    tree: Tree
    runs: Runs
    """All runs of the task that did not end in an error."""
    threshold: float
    index: int | None
    """The failed run that is looked into, among the runs; None where no run failed."""
    forest_index: int | None
    """The same run among the forest's."""
    is_asked: bool
    """Whether that run was asked for; else it stands for its task."""
    flips: list[Flip]
    played: Bisected | None
    by: str
    """Who played; or why nobody did."""

    @property
    def run(self) -> Trajectory | None:
        return None if self.index is None else self.runs.trajectories[self.index]

    @property
    def place(self) -> str | None:
        """Of the run; a saved forest has none."""
        return self.runs.places[self.index] if self.index is not None and self.runs.places else None

    @property
    def num_success(self) -> int:
        return sum(at_least(t.total_return, self.threshold) for t in self.runs.trajectories)


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
        say(json.dumps(_record(found), indent=2))
        return 0
    _say(found)
    can_be_read_again = rule == type(rule)() and not any(map(is_read_once, whole.paths))
    if (node := _node(found)) is not None and can_be_read_again:
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


def _by_the_runs(tree: Tree, runs: Runs, threshold: float, index: int | None) -> _Found:
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
    return _Found(tree, alone, threshold, own, index, is_asked, flips, None, "")


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


def _by_playing(found: _Found, player: Player, seed: int) -> _Found:
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


def _not_played(found: _Found, why: str) -> _Found:
    return replace(found, played=None, by=why)


def _node(found: _Found) -> int | None:
    """The history before the step that was found, as the forest numbers its nodes."""
    if (
        found.played is not None
        and found.played.step is not None
        and found.forest_index is not None
    ):
        from w2stree.forest.flips import path_of

        return path_of(found.tree, found.forest_index)[found.played.step - 1]
    return found.flips[0].node if found.flips else None


# In words ----------------------------------------------------------------------------------------


def _say(found: _Found) -> None:
    width = max(_LEAST_WIDTH, terminal_width() or _WIDTH)
    num_runs = len(found.runs.trajectories)
    say(f"task {visible(found.tree.task_id)}")
    say(
        f"{counted(num_runs, 'run')}, {found.num_success:,} of them successes (a return of at "
        f"least {found.threshold:g})"
    )
    if found.run is None:
        say("no run failed: there is nothing to look for")
    else:
        which = "run" if found.is_asked else "the run that is looked into"
        place = visible(found.place or f"run {found.forest_index}")
        say(f"{which}: {place}, {described(found.run)}\n")
        _say_flips(found, width)
        _say_played(found, width)
    say(f"\n{found.runs.account()}")


def _say_flips(found: _Found, width: int) -> None:
    if not found.flips:
        why = (
            "no run succeeded"
            if found.num_success == 0
            else "at no step where runs parted did those that failed part from those that succeeded"
        )
        say(f"by the runs alone: nothing, {why}")
        return
    of = "of this run" if found.is_asked else "of the task, each without the runs of those before"
    say(f"by the runs alone, the likeliest steps {of}:")
    header = ("step", "successes after it", "all others", "share", "action")
    print_table(header, [_row(flip, width - 50) for flip in found.flips], names=(4,))
    flip = found.flips[0]
    for sibling in flip.siblings:
        say(
            f"  instead of it, {sibling.num_success} of {sibling.num_runs}: "
            f"{shorten(sibling.action, width - 30)}"
        )
    if flip.num_alike > 1:
        last = flip.step + flip.num_alike - 1
        say(f"  the same runs took steps {flip.step} to {last}: the runs do not tell these apart")


def _row(flip: Flip, width: int) -> tuple[str, ...]:
    return (
        f"{flip.step}",
        f"{flip.after.num_success} of {flip.after.num_runs}",
        f"{flip.num_success_other} of {flip.num_other}",
        f"{flip.share:.2f}",
        shorten(flip.after.action, max(20, width)),
    )


def _say_played(found: _Found, width: int) -> None:
    played = found.played
    if played is None:
        say(f"\nnot verified by playing: {visible(found.by, keep_lines=True)}")
        return
    assert found.run is not None
    say(
        f"\nby playing ({visible(found.by)}; {played.num_episodes:,} episodes, "
        f"{played.num_environment_steps:,} steps):"
    )
    for place in sorted(played.places, key=lambda place: place.num_steps):
        where = f"after step {place.num_steps}" if place.num_steps else "from the start"
        if place.num_steps == len(found.run.steps):
            say(f"  {where:<16} the run failed")
        else:
            lost = ": lost" if place.is_lost else ""
            say(f"  {where:<16} {sum(place.successes)} of {len(place.successes)} succeed{lost}")
    if played.step is None:
        say(f"no step was found: {played.why_not}")
        return
    step = found.run.steps[played.step - 1]
    say(f"outcomes flip at step {played.step}: {shorten(step.action, width - 30)}")
    say(f"  = {shorten(step.observation, width - 4)}")
    _say_verdict(played, width)


def _say_verdict(played: Bisected, width: int) -> None:
    measured = played.measured
    if measured is None:
        say(f"not verified: {played.why_not}")
        return
    better, _ = measured.contrast.sides
    means = [sum(side) / len(side) if side else 0.0 for side in measured.returns]
    what = {
        "confirmed": "the cause, verified by playing",
        "reversed": "not the cause: played anew, this action does better",
        "undecided": "not verified: played anew, the two do not differ significantly",
        "unfinished": "not verified: continuations ended in errors",
    }[measured.verdict]
    look = measured.look
    interval = (
        ""
        if look is None
        else f"; the other gains {look.mean:+.2f} [{look.low:.2f}, {look.high:.2f}]"
    )
    say(what)
    say(
        f"  against {shorten(better.action, width - 12)}:\n"
        f"  mean return {means[1]:.2f} against {means[0]:.2f} in "
        f"{counted(len(measured.differences), 'pair')} of continuations{interval}"
    )


# For programs ------------------------------------------------------------------------------------


def _record(found: _Found) -> dict[str, Any]:
    played = found.played
    run = None
    if found.run is not None:
        run = {
            "place": found.place,
            "total_return": found.run.total_return,
            "status": found.run.status,
            "num_steps": len(found.run.steps),
            "is_asked_for": found.is_asked,
        }
    return {
        "task_id": found.tree.task_id,
        "success_threshold": found.threshold,
        "num_runs": len(found.runs.trajectories),
        "num_success": found.num_success,
        "run": run,
        "by_the_runs": [{"step": flip.step, **asdict(flip)} for flip in found.flips],
        "by_playing": None if played is None else _played_record(played, found),
        "not_played": found.by if played is None else None,
        "node": _node(found),
        **found.runs.counts(),
    }


def _played_record(played: Bisected, found: _Found) -> dict[str, Any]:
    assert found.run is not None
    measured = played.measured
    step = None if played.step is None else found.run.steps[played.step - 1]
    return {
        "policy": found.by,
        "step": played.step,
        "action": None if step is None else step.action,
        "observation": None if step is None else step.observation,
        "is_cause": played.is_cause,
        "why_not": played.why_not,
        "places": [asdict(place) for place in played.places],
        "verdict": None if measured is None else measured.verdict,
        "better_action": None if measured is None else measured.contrast.better.action,
        "returns": None if measured is None else measured.returns,
        "look": None if measured is None or measured.look is None else asdict(measured.look),
        "num_episodes": played.num_episodes,
        "num_environment_steps": played.num_environment_steps,
    }
