"""Two runs, and two lots of runs: where they part, and what one has that the other lacks.

left    go north ── "A hall." ── open door ── "Locked."
right   go north ── "A hall." ── take key ── …
                                 └ action: they part here, after 1 step
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

from w2stree.trajectories.trajectory import Trajectory

What = Literal["action", "answer", "end", "nothing"]


@dataclass(frozen=True, slots=True)
class Parting:
    """After `num_shared` steps of equal actions and answers the next `action` differs, or the
    `answer` to an equal one does, or one of the two is at its `end`; or they are equal: `nothing`
    differs but words, prompts, returns and how they were made."""

    num_shared: int
    what: What


def parting_of(left: Trajectory, right: Trajectory) -> Parting:
    """Where two runs part, by actions and answers to the letter. O(steps)."""
    shared = 0
    for one, other in zip(left.steps, right.steps, strict=False):
        if one.action != other.action:
            return Parting(shared, "action")
        if one.observation != other.observation:
            return Parting(shared, "answer")
        shared += 1
    return Parting(shared, "nothing" if len(left.steps) == len(right.steps) else "end")


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two lots of runs, task by task and run by run.

    Runs are the same where task, actions, answers, return and status are equal; of several equal
    ones each counts. `only_left`, `only_right`: indices of runs that have no counterpart.
    `same_opening`: pairs of tasks of two ids, left and right, whose prompts are equal: one task by
    two names.
    """

    tasks_only_left: tuple[str, ...]
    tasks_only_right: tuple[str, ...]
    tasks_in_both: tuple[str, ...]
    same_opening: tuple[tuple[str, str], ...]
    num_same: int
    only_left: tuple[int, ...]
    only_right: tuple[int, ...]

    @property
    def is_same(self) -> bool:
        return not self.only_left and not self.only_right


def compare(left: Sequence[Trajectory], right: Sequence[Trajectory]) -> Comparison:
    """What each lot has that the other lacks. O(steps of both), in memory for the keys of one."""
    on_left = dict.fromkeys(t.task_id for t in left)
    on_right = dict.fromkeys(t.task_id for t in right)
    only_left, only_right = _without_counterpart(left, right)
    return Comparison(
        tuple(task for task in on_left if task not in on_right),
        tuple(task for task in on_right if task not in on_left),
        tuple(task for task in on_left if task in on_right),
        _same_opening(left, right),
        len(left) - len(only_left),
        tuple(only_left),
        tuple(only_right),
    )


def _without_counterpart(
    left: Sequence[Trajectory], right: Sequence[Trajectory]
) -> tuple[list[int], list[int]]:
    waiting: dict[Hashable, list[int]] = {}
    for i, trajectory in enumerate(left):
        waiting.setdefault(_played(trajectory), []).append(i)
    only_right = []
    for i, trajectory in enumerate(right):
        if same := waiting.get(_played(trajectory)):
            same.pop(0)
        else:
            only_right.append(i)
    return sorted(i for same in waiting.values() for i in same), only_right


def _played(trajectory: Trajectory) -> Hashable:
    texts = tuple(text for step in trajectory.steps for text in (step.action, step.observation))
    return trajectory.task_id, trajectory.total_return, trajectory.status, texts


def _same_opening(
    left: Sequence[Trajectory], right: Sequence[Trajectory]
) -> tuple[tuple[str, str], ...]:
    named = {t.prompt: t.task_id for t in reversed(left) if t.prompt}
    pairs = (
        (named[t.prompt], t.task_id)
        for t in right
        if t.prompt in named and named[t.prompt] != t.task_id
    )
    return tuple(dict.fromkeys(pairs))
