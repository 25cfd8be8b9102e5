"""The step after which a task's outcomes flip, as far as it was found, for people and programs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from w2stree.cli.inputs import Runs
from w2stree.cli.progress import print_table
from w2stree.cli.say import counted, say, terminal_width
from w2stree.cli.transcript import described
from w2stree.percent import percent
from w2stree.shorten import shorten, visible
from w2stree.trajectories.returns import at_least
from w2stree.trajectories.trajectory import Trajectory

if TYPE_CHECKING:
    from w2stree.forest.flips import Flip
    from w2stree.forest.tree import Tree
    from w2stree.rollouts.bisection import Bisected

_WIDTH = 120  # where no terminal says it
_LEAST_WIDTH = 60


@dataclass(frozen=True, slots=True)
class FoundStep:
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

    @property
    def node(self) -> int | None:
        """The history before the step, as the forest numbers its nodes."""
        if self.played is not None and self.played.step is not None:
            from w2stree.forest.flips import path_of

            assert self.forest_index is not None
            return path_of(self.tree, self.forest_index)[self.played.step - 1]
        return self.flips[0].node if self.flips else None


def say_found(found: FoundStep) -> None:
    """For a person, in the columns of the terminal."""
    width = max(_LEAST_WIDTH, terminal_width() or _WIDTH)
    num_runs = len(found.runs.trajectories)
    say(f"task {visible(found.tree.task_id)}")
    say(
        f"{counted(num_runs, 'run')}, {found.num_success:,} of them successes (a return of at "
        f"least {found.threshold:g})"
    )
    if found.run is None:
        say(f"no run failed: there is nothing to look for{found.runs.left_out()}")
    else:
        which = "run" if found.is_asked else "the run that is looked into"
        place = visible(found.place or f"run {found.forest_index}")
        say(f"{which}: {place}, {described(found.run)}\n")
        _say_flips(found, width)
        _say_played(found, width)
    say(f"\n{found.runs.account()}")


def _say_flips(found: FoundStep, width: int) -> None:
    if not found.flips:
        why = (
            f"no run succeeded{found.runs.left_out()}"
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
        percent(flip.share, 0),
        shorten(flip.after.action, max(20, width)),
    )


def _say_played(found: FoundStep, width: int) -> None:
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


def record_of(found: FoundStep) -> dict[str, Any]:
    """For programs: every text whole, as JSON takes it."""
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
        "node": found.node,
        **found.runs.counts(),
    }


def _played_record(played: Bisected, found: FoundStep) -> dict[str, Any]:
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
