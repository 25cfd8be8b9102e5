"""Tree search (Eq. 7), offline on the frozen forest, and the best path of each tree.

arms of a node, in order:   STOP (where trajectories end), child, child, …
a descent:                  root ─ argmax ─ argmax ─ … ─ STOP or a leaf
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from w2stree import _core
from w2stree.forest import Forest
from w2stree.threads import num_threads_or_all
from w2stree.trajectory import Trajectory


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SearchResult:
    """Search statistics by node and the best path by tree; arrays are read-only.

    A descent visits every node from the root to where it ends, both included, so
    `visit_count[n]` is `stop_visit_count[n]` plus the children's counts.
    """

    forest: Forest
    visit_count: NDArray[np.int64]
    """`[num_nodes]` c of Eq. 7."""
    value_sum: NDArray[np.float64]
    """`[num_nodes]` r of Eq. 7: values backed up, summed in the order of the descents."""
    stop_visit_count: NDArray[np.int64]
    """`[num_nodes]` descents that ended at the node."""
    stop_value_sum: NDArray[np.float64]
    """`[num_nodes]` values of those descents."""
    best_end_node: NDArray[np.int32]
    """`[num_trees]` node where the greedy path ends."""
    best_trajectory: NDArray[np.int32]
    """`[num_trees]` index of the trajectory that ends there with the greatest return; of
    several the first."""

    def best_trajectories(self) -> list[Trajectory]:
        """The best path of each tree, in tree order, as the trajectory that took it."""
        return [self.forest.trajectories[i] for i in self.best_trajectory]

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The arrays by node as an Arrow stream, nothing copied: `pyarrow.table(result)`."""
        columns = ("visit_count", "value_sum", "stop_visit_count", "stop_value_sum")
        return _core.export_arrow({name: getattr(self, name) for name in columns})

    def __repr__(self) -> str:
        return f"SearchResult({len(self.forest)} trees, {self.visit_count.size} nodes)"


def search(
    forest: Forest,
    *,
    num_simulations: int = 1000,
    exploration: float = 1.41,
    stop_arm: bool = True,
    num_threads: int | None = None,
) -> SearchResult:
    """Run `num_simulations` descents on each tree and extract its best path.

    A descent takes `argmax r/c + exploration * sqrt(log(C + 1e-12) / c)` over the arms of each
    node: c visits and value r of the arm, C visits of all arms together; an arm never visited
    comes first, ties go to the first arm. The value of an ending is the mean return of the
    trajectories that end exactly there. Then the best path takes `argmax r/c`, over visited arms.

    A node where trajectories end while others go on has an arm STOP before its children;
    `stop_arm=False` drops it and equals the authors' published demo bit for bit, which never
    scores such endings. Results never depend on `num_threads` (None: the available cores).

    Raises `InvalidInput` unless num_simulations >= 1, exploration is finite and >= 0, and
    num_threads >= 1. O(num_simulations x arms along the path) a tree.
    """
    result = _core.search(
        forest.core,
        num_simulations=num_simulations,
        exploration=exploration,
        stop_arm=stop_arm,
        num_threads=num_threads_or_all(num_threads),
    )
    return SearchResult(
        forest,
        result.node_visit_count(forest.core),
        result.node_value_sum(forest.core),
        result.node_stop_visit_count(forest.core),
        result.node_stop_value_sum(forest.core),
        result.best_end_node(forest.core),
        result.best_trajectory,
    )
