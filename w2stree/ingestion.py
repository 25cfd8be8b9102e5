"""From trajectories to a forest: texts become ids, in order of first appearance."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field

import numpy as np

from w2stree.errors import IdenticalTrajectories, InvalidInput
from w2stree.forest import Forest
from w2stree.growth import Batch, grow
from w2stree.merging import Embed, Merging, state_words
from w2stree.trajectory import Trajectory


def build_forest(
    trajectories: Iterable[Trajectory],
    *,
    normalize_observation: Callable[[str], str] | None = None,
    min_similarity: float | None = None,
    embed: Embed | None = None,
    guard: Callable[[str], Hashable] | None = state_words,
    num_threads: int | None = None,
) -> Forest:
    """Merge trajectories into one tree per task.

    Two trajectories share a node iff they have one `task_id` and agree in every
    (action, observation) up to it; `response` and the rest are payload. Trees come in the order
    tasks first appear, siblings in the order trajectories first make them. Trajectories with
    status "error" say nothing about their task: they are left out and counted.

    Observations agree when they are equal. Two options widen that, for the forest and for
    whatever is added to it later:

    - `normalize_observation`: texts that it maps to one text are one observation, known by the
      first of them; `w2stree.merging.sort_words` for environments that list things in random
      order.
    - `min_similarity` with `embed`: after the same action, an observation also goes to the first
      child, in the order they were made, whose observation's embedding has cosine >=
      `min_similarity`. `embed` maps a list of texts to `[len, dimension]` and is called once
      for each distinct text, in batches (`w2stree.embedding.embed_sentences` is the authors'
      model; they use 0.9). Texts for which `guard` gives different values stay apart whatever
      their cosine: by default other numbers, negations and opposites ("open"/"closed"), which
      embeddings hardly tell apart; None is the authors' rule. The result depends on the order
      of trajectories; `Forest.merges` says what was merged.

    Raises `InvalidInput` when the prompts of one task differ, when a return is not finite, when
    an option is out of range, or when nothing is left; `TypeError` for anything but
    trajectories. Warns `IdenticalTrajectories` once when all M >= 2 trajectories of a task took
    the same actions. Results never depend on `num_threads` (None: the available cores).
    O(steps), similarity aside.
    """
    merging = Merging(
        normalize=normalize_observation, min_similarity=min_similarity, embed=embed, guard=guard
    )
    columns = _Columns.of(trajectories)
    if not columns.kept:
        raise InvalidInput(
            f"no trajectories left to build from: {columns.num_errors} given, all with status error"
            if columns.num_errors
            else "no trajectories given"
        )
    _warn_of_identical(columns.tasks)
    return grow(None, columns.batch(), merging, num_threads)


def batch_of(trajectories: Iterable[Trajectory]) -> Batch:
    """Trajectories as columns. Raises as `build_forest` does, but none left is fine."""
    return _Columns.of(trajectories).batch()


@dataclass(slots=True)
class _Task:
    tree_id: int
    first: Trajectory
    first_record: int
    num_trajectories: int = 1
    is_identical: bool = True  # all trajectories so far took the first one's actions


@dataclass(slots=True)
class _Columns:
    """Trajectories as the core's integer columns; texts get ids in order of first appearance."""

    kept: list[Trajectory] = field(default_factory=list)
    num_errors: int = 0
    tasks: dict[str, _Task] = field(default_factory=dict)
    actions: dict[str, int] = field(default_factory=dict)
    observations: dict[str, int] = field(default_factory=dict)
    action_id: list[int] = field(default_factory=list)
    observation_id: list[int] = field(default_factory=list)
    step_offset: list[int] = field(default_factory=lambda: [0])
    tree_id: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, trajectories: Iterable[Trajectory]) -> _Columns:
        columns = cls()
        for record, trajectory in enumerate(trajectories):
            columns.append(record, trajectory)
        return columns

    def append(self, record: int, trajectory: Trajectory) -> None:
        if not isinstance(trajectory, Trajectory):
            raise TypeError(
                f"trajectories[{record}] is {type(trajectory).__name__}; expected Trajectory "
                "(read files with read_trajectories)"
            )
        if trajectory.status == "error":
            self.num_errors += 1
            return
        if not math.isfinite(trajectory.total_return):
            raise InvalidInput(
                f"trajectories[{record}]: total_return is {trajectory.total_return!r}; "
                "expected a finite number"
            )
        self.tree_id.append(self._tree_of(record, trajectory))
        for step in trajectory.steps:
            self.action_id.append(self.actions.setdefault(step.action, len(self.actions)))
            self.observation_id.append(
                self.observations.setdefault(step.observation, len(self.observations))
            )
        self.step_offset.append(len(self.action_id))
        self.kept.append(trajectory)

    def _tree_of(self, record: int, trajectory: Trajectory) -> int:
        task = self.tasks.get(trajectory.task_id)
        if task is None:
            task = _Task(len(self.tasks), trajectory, record)
            self.tasks[trajectory.task_id] = task
            return task.tree_id
        if trajectory.prompt != task.first.prompt:
            raise InvalidInput(
                f"trajectories[{task.first_record}] and trajectories[{record}] have task_id "
                f"{trajectory.task_id!r} but different prompts; give different tasks different ids"
            )
        task.num_trajectories += 1
        task.is_identical = task.is_identical and _same_actions(task.first, trajectory)
        return task.tree_id

    def batch(self) -> Batch:
        return Batch(
            task_ids=tuple(self.tasks),
            actions=tuple(self.actions),
            observations=tuple(self.observations),
            action_id=np.array(self.action_id, np.int32),
            observation_id=np.array(self.observation_id, np.int32),
            step_offset=np.array(self.step_offset, np.int64),
            tree_id=np.array(self.tree_id, np.int32),
            total_return=np.array([t.total_return for t in self.kept], np.float64),
            trajectories=tuple(self.kept),
            num_errors=self.num_errors,
        )


def _same_actions(left: Trajectory, right: Trajectory) -> bool:
    return len(left.steps) == len(right.steps) and all(
        a.action == b.action for a, b in zip(left.steps, right.steps, strict=True)
    )


def _warn_of_identical(tasks: dict[str, _Task]) -> None:
    identical = [
        task_id for task_id, t in tasks.items() if t.is_identical and t.num_trajectories >= 2
    ]
    if identical:
        warnings.warn(
            f"{len(identical)} of {len(tasks)} tasks, the first {identical[0]!r}, have identical "
            "actions in all their trajectories and yield no pairs; "
            "was the policy sampled greedily (temperature 0 or top_p 0)?",
            IdenticalTrajectories,
            stacklevel=3,
        )
