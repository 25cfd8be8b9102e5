"""A path that was found, as a trajectory: whose words each of its steps has.

    run 1   look ─ take cup ─ put cup in sink
    run 2   open box ─ take cup ─ put cup in box
    path    take cup ─ open box ─ put cup in box
    words   1, step 2  2, step 1  2, step 3

A turn was said after a history, and the path has another one. Of all turns in which runs took an
action, a step has the one whose history agrees with the path's over the most steps before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from w2stree.rollouts.recombination.states import State
from w2stree.trajectories.origin import Origin
from w2stree.trajectories.trajectory import Status, Step, Trajectory
from w2stree.turns.react import UNPARSED, is_unparsed, render_turn

POLICY = "recombined"
"""Who a path is by, where it is no run's: `Origin.policy`."""

ENDS_AT_BEST = "the path ends where its return is highest"
"""`Origin.truncated_by` of a path that the environment did not end."""


Making = Literal["run", "shortened", "combined", "extended"]
"""`run`: the actions are a run's first ones, or all of them. `shortened`: they are some of one
run's, in its order. `combined`: no single run took them all in this order. `extended`: no run took
some of them."""


@dataclass(frozen=True, slots=True)
class Source:
    """The run that a step's words are of, by `origin.sample_index` (where there is none, its place
    among the task's runs), and which of its steps, from 1."""

    run: int
    step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recombined:
    """What came of one task.

    `trajectory`: the path, as the environment answered it now; or, where `problem` says why there
    is none, the task's best run as it was recorded. `sources` name the run of each of its steps;
    None for a step whose action no run took, which is worded as the action alone.
    `best_return` is the best run's return, `best_on_the_way` the highest score that any run
    had at any step that was played again: what ending a run earlier would have given. `making`: how
    the path's actions relate to the runs'. `num_steps` counts the environment steps spent, by
    what for ("runs", "search", "shortening"), replays included; `num_resets` the resets.
    """

    trajectory: Trajectory
    sources: tuple[Source | None, ...]
    best_return: float
    best_on_the_way: float
    making: Making
    num_steps: Mapping[str, int] = field(default_factory=dict)
    num_resets: int = 0
    problem: str | None = None

    def to_record(self) -> dict[str, Any]:
        """All but the trajectory, for JSON."""
        return {
            "task_id": self.trajectory.task_id,
            "total_return": self.trajectory.total_return,
            "sources": _pairs(self.sources),
            "best_return": self.best_return,
            "best_on_the_way": self.best_on_the_way,
            "making": self.making,
            "num_steps": dict(self.num_steps),
            "num_resets": self.num_resets,
            "problem": self.problem,
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any], trajectory: Trajectory) -> Recombined:
        """Read back what `to_record` gave of that trajectory."""
        return cls(
            trajectory=trajectory,
            sources=tuple(pair and Source(*pair) for pair in record["sources"]),
            best_return=record["best_return"],
            best_on_the_way=record["best_on_the_way"],
            making=record["making"],
            num_steps=record["num_steps"],
            num_resets=record["num_resets"],
            problem=record["problem"],
        )


def kept_run(runs: Sequence[Trajectory], **known: Any) -> Recombined:
    """The best run (the first of `runs`) as it was recorded."""
    best = runs[0]
    sources = tuple(Source(_number(runs, 0), i + 1) for i in range(len(best.steps)))
    return Recombined(
        trajectory=best,
        sources=sources,
        best_return=best.total_return,
        making="run",
        **{"best_on_the_way": best.total_return, **known},
    )


def path_to(state: State, runs: Sequence[Trajectory], **known: Any) -> Recombined:
    """The way to a state in the words of `runs`, the best run first."""
    way = state.way()
    of_run = _of_one_run(way, runs)
    is_run = of_run is not None
    places: Sequence[tuple[int, int] | None] = of_run or [
        _place(way, i, runs) for i in range(len(way))
    ]
    run = runs[of_run[0][0]] if of_run else runs[0]
    steps = tuple(
        _step(_said(place, led_to, runs), led_to, keeps_ids=is_run)
        for place, led_to in zip(places, way, strict=True)
    )
    sources = tuple(
        None if place is None else Source(_number(runs, place[0]), place[1] + 1) for place in places
    )
    trajectory = replace(
        run,
        steps=steps,
        total_return=state.score,
        status=ends_at(state)[0],
        origin=_origin(run, state, is_run=is_run),
        info={"sources": _pairs(sources)},
    )
    return Recombined(
        trajectory=trajectory,
        sources=sources,
        best_return=runs[0].total_return,
        making="run" if is_run else _making([state.action for state in way], runs),
        **known,
    )


def _of_one_run(way: Sequence[State], runs: Sequence[Trajectory]) -> list[tuple[int, int]] | None:
    """The places of a way that is a run's beginning, or all of it; None where it is none's."""
    actions = [state.action for state in way]
    for number, run in enumerate(runs):
        if [step.action for step in run.steps[: len(way)]] == actions:
            return [(number, i) for i in range(len(way))]
    return None


def _pairs(sources: Sequence[Source | None]) -> list[list[int] | None]:
    return [None if source is None else [source.run, source.step] for source in sources]


def _making(actions: Sequence[str], runs: Sequence[Trajectory]) -> Making:
    if set(actions) - {step.action for run in runs for step in run.steps}:
        return "extended"
    for run in runs:
        left = iter([step.action for step in run.steps])
        if all(action in left for action in actions):  # `in` goes on behind what it found
            return "shortened"
    return "combined"


def _place(way: Sequence[State], i: int, runs: Sequence[Trajectory]) -> tuple[int, int] | None:
    """The run and the step of it whose words the i-th step has: the longest agreement, then the
    better run, then its earlier step. None where no run took its action."""
    said = [
        (number, at)
        for number, run in enumerate(runs)
        for at, step in enumerate(run.steps)
        if step.action == way[i].action
    ]
    return max(
        said,
        key=lambda place: _agreement(way[:i], runs[place[0]].steps[: place[1]]),
        default=None,
    )


def _said(place: tuple[int, int] | None, led_to: State, runs: Sequence[Trajectory]) -> Step:
    if place is None:
        return Step(led_to.action, led_to.observation)
    return runs[place[0]].steps[place[1]]


def _agreement(way: Sequence[State], steps: Sequence[Step]) -> int:
    """Over how many steps, from the last one back, two histories agree; both from the start on
    is one more than any part."""
    number = 0
    for state, step in zip(reversed(way), reversed(steps), strict=False):
        if (state.action, state.observation) != (step.action, step.observation):
            return number
        number += 1
    return number + (len(way) == len(steps))


def _step(said: Step, led_to: State, *, keeps_ids: bool) -> Step:
    """The turn that was said, with today's answer. Its ids stay with the run that sampled them."""
    was_unparsed = is_unparsed(said.action, said.observation)
    return replace(
        said,
        observation=UNPARSED if was_unparsed else led_to.observation,
        response=said.response if said.is_worded else render_turn("", said.action),
        token_ids=said.token_ids if keeps_ids else None,
        logprobs=said.logprobs if keeps_ids else None,
        reward=led_to.reward,
    )


def ends_at(state: State) -> tuple[Status, str | None]:
    """Of a path that ends there, its status and `Origin.truncated_by`."""
    return (
        "done" if state.is_terminated else "truncated",
        None if state.is_over else ENDS_AT_BEST,
    )


def was_cut_short(trajectory: Trajectory) -> bool:
    """Whether an episode was ended by something else than its environment and its step limit,
    mostly by what the model can read. A path that ends where its return is highest is whole."""
    return trajectory.origin.truncated_by not in (None, ENDS_AT_BEST)


def _origin(run: Trajectory, state: State, *, is_run: bool) -> Origin:
    is_whole = is_run and state.depth == len(run.steps)
    _, truncated_by = ends_at(state)
    return replace(
        run.origin if is_run else Origin(sample_index=0, policy=POLICY),
        raw_return=state.raw_score,
        truncated_by=run.origin.truncated_by if truncated_by and is_whole else truncated_by,
        num_tokens=run.origin.num_tokens if is_whole else None,
        prefix_length=min(run.origin.prefix_length, state.depth) if is_run else 0,
    )


def _number(runs: Sequence[Trajectory], of: int) -> int:
    number = runs[of].origin.sample_index
    return of if number is None else number
