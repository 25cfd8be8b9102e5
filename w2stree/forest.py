"""Forests: trajectories of many tasks merged into one tree a task (Section "Tree" of the paper).

    task-3    u ─┬─ take key ── "Taken." ─┬─ open door ── …      trajectories 0, 2
                 │                        └─ look ── …           trajectory 1
                 └─ wait ── "Time passes." ── …                  trajectory 3
    task-5    …

Text lives here; the core (`cpp/include/w2stree/forest.hpp`) sees integer ids only and gives
back arrays by node. Node ids follow depth-first pre-order over the whole forest.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from w2stree import _core
from w2stree.errors import IdenticalTrajectories, InvalidInput
from w2stree.paths import PathTrajectories
from w2stree.threads import num_threads_or_all
from w2stree.trajectory import Trajectory

if TYPE_CHECKING:
    from w2stree.pairs import PreferencePairs
    from w2stree.search import SearchResult
    from w2stree.summary import ForestSummary
    from w2stree.tree import Tree


class Forest:
    """A frozen forest; make one with `build_forest`. Behaves as a mapping task_id -> `Tree`.

    Arrays are read-only views of the core's memory; those that the core does not hold are written
    out on first use, 4 or 8 bytes a node, and kept. A node's trajectories are the slice
    `trajectory_order[first_trajectory[n] : first_trajectory[n] + num_trajectories[n]]`, of
    which the first `num_terminal[n]` end exactly there; its subtree is the id range
    `[n, subtree_end[n])`.
    """

    __slots__ = (
        "_columns",
        "_core",
        "_tree_id",
        "actions",
        "num_errors",
        "observations",
        "task_ids",
        "trajectories",
    )

    def __init__(
        self,
        core: _core.Forest,
        *,
        task_ids: Sequence[str],
        actions: Sequence[str],
        observations: Sequence[str],
        trajectories: Sequence[Trajectory] | None = None,
        num_errors: int = 0,
    ) -> None:
        self._core = core
        self._columns: dict[str, NDArray[Any]] = {}
        self._tree_id = {task_id: i for i, task_id in enumerate(task_ids)}
        self.task_ids = task_ids
        """Task of each tree, in order of first appearance."""
        self.trajectories: Sequence[Trajectory] = (
            PathTrajectories(self) if trajectories is None else trajectories
        )
        """The trajectories kept, in input order; trajectory indices everywhere refer to it.
        Without any (None), they are read back off the tree."""
        self.actions = actions
        """Text of each action id, in order of first appearance."""
        self.observations = observations
        """Text of each observation id, in order of first appearance."""
        self.num_errors = num_errors
        """How many trajectories with status "error" were left out."""

    def __len__(self) -> int:
        return len(self._tree_id)

    def __iter__(self) -> Iterator[str]:
        return iter(self._tree_id)

    def __contains__(self, task_id: object) -> bool:
        return task_id in self._tree_id

    def __getitem__(self, task_id: str) -> Tree:
        from w2stree.tree import Tree

        if task_id not in self._tree_id:
            raise KeyError(f"no tree for task {task_id!r}; iterate the forest for its task ids")
        return Tree(self, self._tree_id[task_id])

    def __repr__(self) -> str:
        return (
            f"Forest({len(self)} trees, {len(self.trajectories)} trajectories, "
            f"{self.num_nodes} nodes)"
        )

    @property
    def core(self) -> _core.Forest:
        """The core's forest, for calls into `w2stree._core`."""
        return self._core

    def _column(self, name: str) -> NDArray[Any]:
        """An array the core writes out, once."""
        if name not in self._columns:
            self._columns[name] = getattr(self._core, name)()
        return self._columns[name]

    @property
    def num_nodes(self) -> int:
        """Nodes of all trees, roots included."""
        return self._core.num_nodes

    @property
    def root(self) -> NDArray[np.int32]:
        """`[num_trees]` root node of each tree."""
        return self._column("root_node")

    @property
    def parent(self) -> NDArray[np.int32]:
        """`[num_nodes]` parent node; -1 at roots."""
        return self._column("node_parent")

    @property
    def subtree_end(self) -> NDArray[np.int32]:
        """`[num_nodes]` one past the last node of the subtree."""
        return self._column("node_subtree_end")

    @property
    def action_id(self) -> NDArray[np.int32]:
        """`[num_nodes]` action on the edge into the node; -1 at roots."""
        return self._core.action_id

    @property
    def observation_id(self) -> NDArray[np.int32]:
        """`[num_nodes]` observation that answered it; -1 at roots."""
        return self._core.observation_id

    @property
    def depth(self) -> NDArray[np.int32]:
        """`[num_nodes]` steps from the root."""
        return self._column("node_depth")

    @property
    def num_children(self) -> NDArray[np.int32]:
        """`[num_nodes]` children."""
        return self._column("node_num_children")

    @property
    def num_actions(self) -> NDArray[np.int32]:
        """`[num_nodes]` distinct actions among the children."""
        return self._column("node_num_actions")

    @property
    def num_trajectories(self) -> NDArray[np.int32]:
        """`[num_nodes]` trajectories through the node, those ending there included."""
        return self._column("node_num_trajectories")

    @property
    def num_terminal(self) -> NDArray[np.int32]:
        """`[num_nodes]` trajectories that end exactly there."""
        return self._column("node_num_terminal")

    @property
    def first_trajectory(self) -> NDArray[np.int32]:
        """`[num_nodes]` where the node's slice of `trajectory_order` begins."""
        return self._column("node_first_trajectory")

    @property
    def return_sum(self) -> NDArray[np.float64]:
        """`[num_nodes]` sum of returns over the trajectories through it, in input order."""
        return self._column("node_return_sum")

    @property
    def end_node(self) -> NDArray[np.int32]:
        """`[num_trajectories]` node where each trajectory ends."""
        return self._column("end_node")

    @property
    def trajectory_order(self) -> NDArray[np.int32]:
        """`[num_trajectories]` trajectory indices by end node, ties in input order."""
        return self._core.trajectory_order

    @property
    def total_return(self) -> NDArray[np.float64]:
        """`[num_trajectories]` final scores."""
        return self._core.total_return

    @property
    def is_decision_divergence(self) -> NDArray[np.bool_]:
        """`[num_nodes]` trajectories chose different actions here."""
        return self.num_actions >= 2

    @property
    def is_environment_divergence(self) -> NDArray[np.bool_]:
        """`[num_nodes]` some action was answered differently: luck, no pair."""
        return self.num_children > self.num_actions

    def path_to(self, node: int) -> list[int]:
        """Nodes from the root to `node`, both included. O(depth)."""
        path = [node]
        while self.parent[path[-1]] >= 0:
            path.append(int(self.parent[path[-1]]))
        return path[::-1]

    def summary(self) -> ForestSummary:
        """Counts over the whole forest; `print` shows a table. O(k log k) at a divergence of
        k trajectories."""
        from w2stree.summary import summarize

        return summarize(self)

    def count_pairs(self, min_gap: float = 0.0) -> int:
        """`len(forest.pairs(min_gap))` without enumerating them: O(k log k) at a divergence of
        k trajectories. Raises `InvalidInput` unless `min_gap` is finite and >= 0."""
        return int(_core.count_pairs(self._core, min_gap).sum())

    def pairs(self, min_gap: float = 0.0) -> PreferencePairs:
        """Every preference pair (Eq. 6): two trajectories that leave a node by different
        actions, whose returns differ by more than 0 and at least `min_gap` (units of return).

        Order: divergence node, then chosen, then rejected index. O(k^2) at a divergence of k
        trajectories; `count_pairs` says how many first. Raises `InvalidInput` unless `min_gap`
        is finite and >= 0.
        """
        from w2stree.pairs import find_pairs

        return find_pairs(self, min_gap)

    def search(
        self,
        *,
        num_simulations: int = 1000,
        exploration: float = 1.41,
        stop_arm: bool = True,
        backup: Literal["mean", "max"] = "mean",
        min_visits: int = 0,
        num_paths: int = 1,
        patience: int | None = None,
        resume: SearchResult | None = None,
        num_threads: int | None = None,
    ) -> SearchResult:
        """Tree search by upper confidence bounds (Eq. 7) on every tree, and its best paths.

        See `w2stree.search.search` for the rules. Results never depend on `num_threads`
        (None: one for each available core).
        """
        from w2stree.search import search

        return search(
            self,
            num_simulations=num_simulations,
            exploration=exploration,
            stop_arm=stop_arm,
            backup=backup,
            min_visits=min_visits,
            num_paths=num_paths,
            patience=patience,
            resume=resume,
            num_threads=num_threads,
        )


def build_forest(trajectories: Iterable[Trajectory]) -> Forest:
    """Merge trajectories exactly into one tree per task.

    Two trajectories share a node iff they have one `task_id` and agree in every
    (action, observation) up to it; `response` and the rest are payload. Trees come in the order
    tasks first appear, siblings in the order trajectories first make them. Trajectories with
    status "error" say nothing about their task: they are left out and counted.

    Raises `InvalidInput` when the prompts of one task differ, when a return is not finite, or
    when nothing is left; `TypeError` for anything but trajectories. Warns
    `IdenticalTrajectories` once when all M >= 2 trajectories of a task took the same actions.
    O(steps) in Python, O(steps log M) in the core.
    """
    columns = _Columns()
    for record, trajectory in enumerate(trajectories):
        columns.append(record, trajectory)
    if not columns.kept:
        raise InvalidInput(
            f"no trajectories left to build from: {columns.num_errors} given, all with status error"
            if columns.num_errors
            else "no trajectories given"
        )
    _warn_of_identical(columns.tasks)
    return Forest(
        columns.build(),
        trajectories=tuple(columns.kept),
        task_ids=tuple(columns.tasks),
        actions=tuple(columns.actions),
        observations=tuple(columns.observations),
        num_errors=columns.num_errors,
    )


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

    def build(self) -> _core.Forest:
        return _core.build_forest(
            np.array(self.action_id, np.int32),
            np.array(self.observation_id, np.int32),
            np.array(self.step_offset, np.int64),
            np.array(self.tree_id, np.int32),
            np.array([trajectory.total_return for trajectory in self.kept], np.float64),
            len(self.tasks),
            num_threads=num_threads_or_all(None),
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
