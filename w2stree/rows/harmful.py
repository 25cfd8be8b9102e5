"""Steps of runs that are not to be imitated, found in what was recorded: nothing is played.

    value   h ─┬─ a   n = 4, mean 0.8          b lies below its siblings, and by enough runs:
               └─ b   n = 2, mean 0.2 ◄        n/(n + k) (mean - mean at h) < -threshold

    loss    put shirt in chest   "…"  -0.25 ◄  the score fell

    loop    go north             "A hall."
            go south             "A cellar."             ◄  undone at once
            go north             "A hall."               ◄  done before, and answered as then

Masking the harmful steps of failed runs, instead of leaving the runs out, is SRFT's idea
(arXiv 2605.10674), which finds them otherwise. Here a value is a mean over few runs, so it is
shrunk to its parent's: the empirical-Bayes estimate of a one-way random-effects model (Efron and
Morris 1973; Buehlmann and Straub 1970, whose credibility factor n/(n + k) is). With variance s²
between the runs through one action and t² between the actions of a history, k = s²/t². Both are the
moment estimates over all divergences of the forest (Searle, Casella and McCulloch, Variance
Components, 1992, ch. 3): s² = SSW / (runs - actions) and
t² = (SSB - (actions - divergences) s²) / sum(N - sum n²/N), at least 0.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from w2stree.errors import InvalidInput
from w2stree.trajectories.field_types import check_field_types
from w2stree.trajectories.returns import check_squares, tolerance, tolerances
from w2stree.trajectories.trajectory import Step, Trajectory

if TYPE_CHECKING:
    from w2stree.forest.forest import Forest

Sign = Literal["value", "loss", "loop"]
SIGNS: tuple[Sign, ...] = get_args(Sign)

Floats = NDArray[np.float64]

_STOP = -1  # in place of an action: the runs that end at the node


@dataclass(frozen=True, slots=True, kw_only=True)
class Harm:
    """What counts against a step.

    `threshold`: by how much its shrunk value has to lie below its history's mean return, in units
    of return. `shrinkage` is k, the number of runs that the history's mean counts as; None: as
    estimated (`estimated_shrinkage`).

    Raises `InvalidInput` for an unknown sign, or one that is there twice, and unless `threshold`
    and `shrinkage` are finite and >= 0.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    signs: tuple[Sign, ...] = SIGNS
    threshold: float = 0.02
    shrinkage: float | None = None

    def __post_init__(self) -> None:
        check_field_types(self)
        unknown = [sign for sign in self.signs if sign not in SIGNS]
        if unknown or len(set(self.signs)) < len(self.signs):
            raise InvalidInput(
                f"signs is {self.signs!r}; use some of {', '.join(SIGNS)}, once each"
            )
        for name in ("threshold", "shrinkage"):
            value = getattr(self, name)
            if value is not None and not 0.0 <= value < math.inf:
                raise InvalidInput(f"{name} is {value}; give a number of at least 0")


def harmful_steps(forest: Forest, harm: Harm) -> list[list[bool]]:
    """`[trajectory][step]` whether any of the signs speaks against it, in the forest's order.

    O(steps), O(nodes) memory.
    """
    runs = forest.trajectories
    found = [[False] * len(run.steps) for run in runs]
    for sign in harm.signs:
        if sign == "value":
            marks = below_siblings(forest, harm.threshold, harm.shrinkage)
        else:
            marks = [losses(run.steps) if sign == "loss" else loops(run) for run in runs]
        found = [
            [a or b for a, b in zip(before, more, strict=True)]
            for before, more in zip(found, marks, strict=True)
        ]
    return found


def below_siblings(
    forest: Forest, threshold: float, shrinkage: float | None = None
) -> list[list[bool]]:
    """`[trajectory][step]` whether the action's shrunk value lies more than `threshold` below the
    mean of all runs through its history (those that stop there included), which is the same as
    below its siblings'. An action is judged by all of its runs, whatever the environment answered.
    """
    actions = _Actions.of(forest)
    k = actions.shrinkage() if shrinkage is None else shrinkage
    advantage = actions.shrunk(k) if math.isfinite(k) else np.zeros(len(actions.count))
    is_below = (advantage < -(threshold + tolerance(threshold)))[actions.of_node]
    by_step = is_below[forest.step_node].tolist()
    found, begin = [], 0
    for trajectory in forest.trajectories:
        end = begin + len(trajectory.steps)
        found.append(by_step[begin:end])
        begin = end
    return found


def estimated_shrinkage(forest: Forest) -> float:
    """k = s²/t² of the forest; infinite where actions differ by no more than chance would have it,
    or than rounding, or none was taken twice, so that nothing tells chance.

    Raises `InvalidInput` for a return above 1e150: its square is no number. O(steps)."""
    return _Actions.of(forest).shrinkage()


def losses(steps: Collection[Step]) -> list[bool]:
    """Whether the score fell; not where no reward was recorded."""
    return [step.reward is not None and step.reward < -tolerance(0.0) for step in steps]


def loops(trajectory: Trajectory) -> list[bool]:
    """Steps that led back to where the run had been, and those that they undid.

    A step leads back where an earlier one was the same action with the same answer, or where its
    answer is how the task's opening ends. If one step lies between, and the score did not rise by
    it, it is undone. Of more steps nothing tells: they may have fetched something.
    """
    steps = trajectory.steps
    found = [False] * len(steps)
    last: dict[tuple[str, str], int] = {}
    opening = trajectory.prompt[-1].content.rstrip() if trajectory.prompt else ""
    for t, step in enumerate(steps):
        answer = step.observation.strip()
        before = last.get((step.action, step.observation))
        if before is None and answer and opening.endswith(answer):
            before = -1
        if before is not None:
            found[t] = True
            if before == t - 2 and not _rose(steps[t - 1]):
                found[t - 1] = True
        last[step.action, step.observation] = t
    return found


def _rose(step: Step) -> bool:
    return step.reward is not None and step.reward > tolerance(0.0)


@dataclass(frozen=True, slots=True)
class _Actions:
    """The actions of all histories, each with the runs that took it; stopping is one of them.

    Arrays are by action, but for `of_node`: the action on the edge into each node.
    """

    of_node: NDArray[np.int64]
    history: NDArray[np.int64]
    count: Floats
    total: Floats
    """Of the runs' returns over the mean of all runs through the history."""
    squares: Floats
    """Of the same."""

    @classmethod
    def of(cls, forest: Forest) -> _Actions:
        returns = np.asarray(forest.total_return)
        check_squares(returns)
        lengths = [len(t.steps) for t in forest.trajectories]
        nodes = np.arange(forest.num_nodes)
        ends = np.asarray(forest.end_node)
        history = np.concatenate([forest.parent, nodes])  # the edge into a node; stopping at it
        action = np.concatenate([forest.action_id, np.full(len(nodes), _STOP)])
        count = np.concatenate([forest.num_trajectories, forest.num_terminal]).astype(np.float64)
        mean = np.asarray(forest.return_sum) / np.maximum(forest.num_trajectories, 1)

        def over(mean_before: Floats, of_runs: Floats) -> Floats:
            """Equal but for rounding is equal: k is a ratio of squares, and noise has one too."""
            found = of_runs - mean_before
            return np.where(np.abs(found) <= tolerances(mean_before), 0.0, found)

        by_step = over(mean[forest.parent[forest.step_node]], np.repeat(returns, lengths))
        by_run = over(mean[ends], returns)

        def summed(power: int) -> Floats:
            return np.concatenate(
                [
                    np.bincount(n, w**power, len(nodes))
                    for n, w in ((forest.step_node, by_step), (ends, by_run))
                ]
            )

        total, squares = summed(1), summed(2)
        _, first, of_edge = np.unique(
            np.stack([history, action]), axis=1, return_index=True, return_inverse=True
        )
        of_edge = of_edge.reshape(-1)
        columns: list[Floats] = [
            np.bincount(of_edge, column, len(first)).astype(np.float64)
            for column in (count, total, squares)
        ]
        return cls(of_edge[: len(nodes)], history[first], columns[0], columns[1], columns[2])

    def shrunk(self, k: float) -> Floats:
        """n/(n + k) (mean - mean of the history)."""
        return self.count / np.maximum(self.count + k, 1) * (self.total / np.maximum(self.count, 1))

    def shrinkage(self) -> float:
        is_taken = (self.count > 0) & (self.history >= 0)
        history, count = self.history[is_taken], self.count[is_taken]
        num_actions = np.bincount(history)
        chosen = num_actions[history] > 1
        history, count = history[chosen], count[chosen]
        total, squares = self.total[is_taken][chosen], self.squares[is_taken][chosen]
        num_actions_chosen = len(count)
        num_divergences = len(np.unique(history))
        spare = count.sum() - num_actions_chosen
        if not num_divergences or spare <= 0:
            return math.inf
        within = max(0.0, float((squares - total**2 / count).sum())) / float(spare)
        between = float((total**2 / count).sum())
        runs = np.bincount(history, count)
        runs_squared = np.bincount(history, count**2)
        weight = float((runs[runs > 0] - runs_squared[runs > 0] / runs[runs > 0]).sum())
        variance = (between - (num_actions_chosen - num_divergences) * within) / weight
        return within / variance if variance > 0 else math.inf
