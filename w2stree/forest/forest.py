"""Forests: trajectories of many tasks merged into one tree a task (Section "Tree" of the paper).

    task-3    u ─┬─ take key ── "Taken." ─┬─ open door ── …      trajectories 0, 2
                 │                        └─ look ── …           trajectory 1
                 └─ wait ── "Time passes." ── …                  trajectory 3
    task-5    …

Text lives here; the core (`cpp/include/w2stree/forest/forest.hpp`) sees integer ids only and gives
back arrays by node. Node ids follow depth-first pre-order over the whole forest.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from w2stree import _core
from w2stree.forest.batch import batch_of
from w2stree.forest.file import check_trajectories, packed, save_forest
from w2stree.forest.growth import check_prompts, grow
from w2stree.forest.merges import ObservationMerge
from w2stree.forest.merging import Merging
from w2stree.forest.node_columns import NodeColumns
from w2stree.forest.openings import Openings
from w2stree.forest.pairs import (
    PreferencePairs,
    Strategy,
    count_pairs,
    pair_rule,
    sample_pairs,
    select_pairs,
    stream_pairs,
)
from w2stree.forest.parts import ForestParts
from w2stree.forest.read_back import PathTrajectories
from w2stree.forest.search import SearchResult, search
from w2stree.forest.state_keys import StateKeys
from w2stree.forest.states import StateGraph, StateValue, state_graph
from w2stree.forest.stored_rule import usable
from w2stree.forest.summary import ForestSummary, summarize
from w2stree.forest.tasks import TaskSummary, summarize_tasks
from w2stree.forest.threads import num_threads_or_all
from w2stree.forest.tree import Tree
from w2stree.trajectories.returns import ReturnRange
from w2stree.trajectories.trajectory import Trajectory


class Forest(NodeColumns, Mapping[str, Tree]):
    """A frozen forest; make one with `build_forest`. A mapping task_id -> `Tree`.

    Trees are views, so a forest equals itself and no other one: compare `digest()`s.

    Arrays are read-only views of the core's memory; those that the core does not hold are written
    out on first use, 4 or 8 bytes a node, and kept. A node's trajectories are the slice
    `trajectory_order[first_trajectory[n] : first_trajectory[n] + num_trajectories[n]]`, of
    which the first `num_terminal[n]` end exactly there; its subtree is the id range
    `[n, subtree_end[n])`.
    """

    __slots__ = (
        "_tree_ids",
        "actions",
        "num_errors",
        "observations",
        "parts",
        "task_ids",
    )

    def __init__(self, parts: ForestParts) -> None:
        super().__init__(parts.core)
        self.parts = parts
        """The parts it is made of, for the modules beside this one."""
        self._tree_ids: dict[str, int] | None = None
        self.task_ids = parts.task_ids
        """Task of each tree, in order of first appearance."""
        self.actions = parts.actions
        """Text of each action id, in order of first appearance."""
        self.observations = parts.observations
        """Text of each observation id, in order of first appearance."""
        self.num_errors = parts.num_errors
        """How many trajectories with status "error" were left out."""

    @property
    def trajectories(self) -> Sequence[Trajectory]:
        """The trajectories kept, in input order; trajectory indices everywhere refer to it.
        If none were given, they are read back off the tree."""
        # Not kept: a cycle would keep the core's memory until the garbage collector comes by.
        given = self.parts.trajectories
        return PathTrajectories(self) if given is None else given

    @property
    def merging(self) -> Merging:
        """The rule observations are merged by. Raises `InvalidInput` where the file it was opened
        from does not tell, or names a function that only its maker has. A rule given to
        `open_forest` is the stored one as far as names tell: lambdas all have one name."""
        return usable(self.parts.rule)

    @property
    def merges(self) -> tuple[ObservationMerge, ...]:
        """Observations that counted as one because they are similar; empty when exact."""
        return self.parts.merges.with_texts(self.observations)

    def __len__(self) -> int:
        return len(self.task_ids)

    def __iter__(self) -> Iterator[str]:
        return iter(self.task_ids)

    def __contains__(self, task_id: object) -> bool:
        return task_id in self._tree_id()

    def __getitem__(self, task_id: str) -> Tree:
        tree_id = self._tree_id().get(task_id)
        if tree_id is None:
            raise KeyError(f"no tree for task {task_id!r}; iterate the forest for its task ids")
        return Tree(self, tree_id)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Forest):
            return self is other
        return super().__eq__(other)

    __hash__ = object.__hash__

    def _tree_id(self) -> dict[str, int]:
        """Made when a task is first asked for by name: a forest may have millions."""
        if self._tree_ids is None:
            self._tree_ids = {task_id: i for i, task_id in enumerate(self.task_ids)}
        return self._tree_ids

    def __repr__(self) -> str:
        return (
            f"Forest({len(self)} trees, {len(self.trajectories)} trajectories, "
            f"{self.num_nodes} nodes)"
        )

    def path_to(self, node: int) -> list[int]:
        """Nodes from the root to `node`, both included. O(depth)."""
        path = [node]
        while self.parent[path[-1]] >= 0:
            path.append(int(self.parent[path[-1]]))
        return path[::-1]

    def add(
        self,
        trajectories: Iterable[Trajectory],
        *,
        openings: Openings = "equal",
        num_threads: int | None = None,
    ) -> Forest:
        """The forest of its trajectories and then these; this one stays as it is.

        The same as `build_forest` of all at once, by the same rule of merging; `openings` as
        there, of these and of those that the forest has. Only trees that
        get new trajectories grow again: O(nodes) copied, O(new steps) merged. Raises as
        `build_forest` does, and `InvalidInput` where a task's prompt differs from before and
        where the rule is not known (`merging`).
        """
        batch = batch_of(trajectories, openings)
        if openings == "equal":
            check_prompts(self, batch)
        return Forest(grow(self, batch, self.merging, num_threads))

    def with_trajectories(
        self, trajectories: Sequence[Trajectory], *, openings: Openings = "equal"
    ) -> Forest:
        """This forest with the trajectories it was built from, in the same order (status "error"
        is left out, as in `build_forest`): for prompts and the agent's words, which files, Arrow
        columns, lists of texts and ids do not give it, and which training rows need.

        Their tasks, returns, actions and prompts are compared with the forest's, and their
        observations where only equal ones were merged, or those that the rule's normaliser makes
        equal; of similar ones the forest keeps one. `openings` is what it was built with: a file
        does not tell (`build_forest`). Raises `InvalidInput` naming the first place that differs;
        `TypeError` for anything but trajectories. O(steps).
        """
        kept = tuple(_finished(trajectories))
        check_trajectories(self, kept, openings)
        return Forest(replace(self.parts, trajectories=kept))

    def summary(self) -> ForestSummary:
        """Counts over the whole forest; `print` shows a table. Cost: `count_pairs`."""
        return summarize(self)

    def tasks(
        self, *, min_gap: float = 0.0, success_threshold: float | None = None
    ) -> list[TaskSummary]:
        """Each task in numbers, in the order of `task_ids`: runs, successes, returns, divergences,
        and pairs of at least `min_gap`.

        A run is a success from a return of `success_threshold` on, in the returns' own unit: 1 if
        it is not given and all returns lie in [0, 1], and not known otherwise. Cost: `count_pairs`.
        """
        return summarize_tasks(self, min_gap=min_gap, success_threshold=success_threshold)

    def digest(self) -> str:
        """What the forest holds, in 128 bits (hex): tasks, every path, counts and returns.

        Equal for any order of the trajectories and any route to the forest (batch, added
        piecemeal, merged shards, opened from a file), on any machine; see
        `cpp/include/w2stree/file/digest.hpp`. Not a guard against forgers. O(num_nodes).
        """
        tables = (packed(self.task_ids), packed(self.actions), packed(self.observations))
        left, right = _core.digest(self.core, *tables, num_threads=num_threads_or_all(None))
        return f"{left:016x}{right:016x}"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the forest to one file, for `open_forest`: all or nothing, equal bytes for equal
        forests. Prompts and responses are not in it, and training rows need them: keep the
        trajectories (`open_forest`). A symbolic link is followed. Raises `OSError` where the file
        cannot be written; what was at `path` before is untouched then."""
        save_forest(self, path)

    def count_pairs(
        self,
        min_gap: float = 0.0,
        *,
        success_threshold: float | None = None,
        return_range: ReturnRange | None = None,
    ) -> int:
        """`len(forest.pairs(min_gap, success_threshold=…))` without enumerating them, and
        without a limit. O(steps) at most, less where returns are few or success is asked for."""
        return count_pairs(self, pair_rule(self, min_gap, success_threshold, return_range))

    def pairs(
        self,
        min_gap: float = 0.0,
        *,
        success_threshold: float | None = None,
        return_range: ReturnRange | None = None,
        strategy: Strategy = "all",
        per_divergence: int | None = None,
        max_per_task: int | None = None,
        seed: int | None = None,
    ) -> PreferencePairs:
        """Preference pairs (Eq. 6): two trajectories that leave a node by different actions and
        differ in return. Every option leaves out more, in this order:

        1. `success_threshold`: only a success against a failure, chosen return >= it > rejected.
           It is a share of `return_range`, which is (0, 1) unless stated.
        2. `min_gap`: only returns that differ by at least so much, in their own unit (and by
           more than rounding).
        3. `strategy`: "all", or "best_worst": the pair of greatest gap at each divergence (ties:
           lowest chosen, then lowest rejected index).
        4. `per_divergence`: at most so many at each divergence, drawn uniformly.
        5. `max_per_task`: at most so many of each task, drawn uniformly.

        Returns and bounds that are equal but for rounding are equal (`trajectories.returns`): 0.3
        and 0.2 differ by 0.1, and 0.1 + 0.2 and 0.3 make no pair.

        4 and 5 need a `seed`; what they draw for a task does not depend on the other tasks. The
        order of pairs is that of `PreferencePairs`. Cost: `count_pairs`, and the pairs returned.
        Raises `InvalidInput` for options out of range, for a return outside a range that is stated
        or needed (1) and for more than 2**31 - 1 pairs (`stream_pairs`, `sample_pairs`).
        """
        return select_pairs(
            self,
            pair_rule(self, min_gap, success_threshold, return_range),
            strategy=strategy,
            per_divergence=per_divergence,
            max_per_task=max_per_task,
            seed=seed,
        )

    def stream_pairs(
        self,
        min_gap: float = 0.0,
        *,
        success_threshold: float | None = None,
        return_range: ReturnRange | None = None,
        chunk_size: int = 65536,
    ) -> Iterator[PreferencePairs]:
        """`forest.pairs(min_gap, success_threshold=…)` in chunks of `chunk_size` pairs (the last
        one may be smaller), in memory for one chunk and the trajectories of one task."""
        rule = pair_rule(self, min_gap, success_threshold, return_range)
        return stream_pairs(self, rule, chunk_size)

    def sample_pairs(
        self,
        num_pairs: int,
        *,
        seed: int,
        min_gap: float = 0.0,
        success_threshold: float | None = None,
        return_range: ReturnRange | None = None,
    ) -> PreferencePairs:
        """`num_pairs` of `forest.pairs(min_gap, success_threshold=…)`, or all if there are
        fewer, in the same order: drawn uniformly without replacement, without enumerating."""
        rule = pair_rule(self, min_gap, success_threshold, return_range)
        return sample_pairs(self, rule, num_pairs, seed)

    def search(
        self,
        *,
        num_simulations: int = 1000,
        exploration: float = 1.41,
        return_range: ReturnRange | None = None,
        stop_arm: bool = True,
        backup: Literal["mean", "max"] = "mean",
        min_visits: int = 0,
        num_paths: int = 1,
        patience: int | None = None,
        resume: SearchResult | None = None,
        num_threads: int | None = None,
    ) -> SearchResult:
        """Tree search by upper confidence bounds (Eq. 7) on every tree, and its best paths.

        See `w2stree.forest.search.search` for the rules. Results never depend on `num_threads`
        (None: one for each available core).
        """
        return search(
            self,
            num_simulations=num_simulations,
            exploration=exploration,
            return_range=return_range,
            stop_arm=stop_arm,
            backup=backup,
            min_visits=min_visits,
            num_paths=num_paths,
            patience=patience,
            resume=resume,
            num_threads=num_threads,
        )

    def states(
        self,
        keys: StateKeys,
        *,
        value: StateValue = "best",
        scores: Iterable[float | None] | None = None,
        num_threads: int | None = None,
    ) -> StateGraph:
        """The graph of states: nodes of one tree with equal keys are one state, and a path may join
        pieces of different trajectories. Play what it proposes before you believe it.

        keys: one a node: a text, a whole number >= 0, or a tuple of texts, whole numbers and None;
            None or -1 is a state of its own. `forest.observation_id` is the plainest; better keys
            hold all that decides how things go on, for example the observation and what the
            environment offers next.
        value: what a state is worth: the greatest ("best") or the mean return of the trajectories
            that end in it.
        scores: one a node, None or NaN where there is none: then a state is worth the greatest or
            the mean of its nodes' scores, where in the mean a node counts as often as trajectories
            pass through it.

        The result does not depend on `num_threads` (None: the available cores). Raises
        `InvalidInput` for other numbers of keys or scores than nodes, and naming the first that is
        none. O(num_nodes), and sorting the edges of each state.
        """
        return state_graph(self, keys, value=value, scores=scores, num_threads=num_threads)


def _finished(trajectories: Iterable[Trajectory]) -> Iterator[Trajectory]:
    for i, trajectory in enumerate(trajectories):
        if not isinstance(trajectory, Trajectory):
            raise TypeError(
                f"trajectories[{i}] is {type(trajectory).__name__}; expected Trajectory"
            )
        if trajectory.status != "error":
            yield trajectory
