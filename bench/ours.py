"""Every call the benchmarks make to w2stree, so that a renamed one is changed in one place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

import w2stree
from bench.workloads import Workload
from w2stree import _core

Forest = Any
Arrays = dict[str, NDArray[Any]]

NODE_ARRAYS = (
    "parent",
    "action_id",
    "observation_id",
    "depth",
    "subtree_end",
    "num_children",
    "num_actions",
    "num_trajectories",
    "num_terminal",
    "first_trajectory",
    "return_sum",
)
OTHER_ARRAYS = ("root", "end_node", "trajectory_order")
STATISTICS = ("visit_count", "value_sum", "stop_visit_count", "stop_value_sum")
BEST = ("best_end_node", "best_trajectory")
PAIR_COLUMNS = ("divergence", "chosen", "rejected", "gap")


class NotInThisBuildError(Exception):
    """The installed w2stree has no such call yet."""


def build(workload: Workload, *, num_threads: int = 1) -> Forest:
    columns = (
        workload.action_id,
        workload.observation_id,
        workload.step_offset,
        workload.tree_id,
        workload.total_return,
    )
    if hasattr(w2stree, "build_forest_from_ids"):
        return w2stree.build_forest_from_ids(
            *columns, num_trees=workload.num_trees, num_threads=num_threads
        )
    return _CoreForest(_core.build_forest(*columns, workload.num_trees, num_threads))


def build_with_arrays(workload: Workload, *, num_threads: int = 1) -> Forest:
    """All node arrays are made on first access: access them."""
    forest = build(workload, num_threads=num_threads)
    arrays(forest)
    return forest


def arrays(forest: Forest) -> Arrays:
    return {name: getattr(forest, name) for name in (*NODE_ARRAYS, *OTHER_ARRAYS)}


def build_from_texts(
    task_id: list[str],
    actions: list[list[str]],
    observations: list[list[str]],
    total_return: list[float],
) -> Forest:
    call = _call("build_forest_from_texts")
    return call(task_id, actions, observations, total_return)


def build_from_arrow(table: Any) -> Forest:
    return _call("build_forest_from_arrow")(table)


def search(
    forest: Forest,
    *,
    num_simulations: int,
    exploration: float,
    stop_arm: bool = True,
    num_threads: int = 1,
) -> Any:
    """The search and its best paths; statistics by node may be made on access."""
    result = forest.search(
        num_simulations=num_simulations,
        exploration=exploration,
        stop_arm=stop_arm,
        num_threads=num_threads,
    )
    assert result.best_end_node is not None
    return result


def statistics(result: Any) -> Arrays:
    return {name: getattr(result, name) for name in (*STATISTICS, *BEST)}


def pairs(forest: Forest, min_gap: float = 0.0) -> Arrays:
    found = forest.pairs(min_gap)
    return {name: getattr(found, name) for name in PAIR_COLUMNS}


def count_pairs(forest: Forest, min_gap: float = 0.0) -> int:
    return int(forest.count_pairs(min_gap))


def stream_pairs(forest: Forest, *, chunk_size: int) -> Iterator[Any]:
    """Chunks of (divergence, chosen, rejected)."""
    if not hasattr(forest, "stream_pairs"):
        raise NotInThisBuildError("Forest.stream_pairs")
    return iter(forest.stream_pairs(min_gap=0.0, chunk_size=chunk_size))


def nbytes(forest: Forest) -> int:
    """Bytes the forest holds now."""
    return int(forest.nbytes)


def num_nodes(forest: Forest) -> int:
    return len(forest.parent)


def _call(name: str) -> Any:
    if not hasattr(w2stree, name):
        raise NotInThisBuildError(f"w2stree.{name}")
    return getattr(w2stree, name)


# Until w2stree.build_forest_from_ids exists: the public forest's calls on the core's forest.
# Delete with its one use above.


class _CoreForest:
    def __init__(self, core: _core.Forest) -> None:
        self._core = core
        self._held: Arrays = {}

    def __getattr__(self, name: str) -> NDArray[Any]:
        if name.startswith("_"):
            raise AttributeError(name)
        if hasattr(self._core, name) and name != "end_node":
            return getattr(self._core, name)
        if name not in self._held:
            call = {"root": "root_node", "end_node": "end_node"}.get(name, f"node_{name}")
            self._held[name] = getattr(self._core, call)()
        return self._held[name]

    @property
    def num_trajectories(self) -> NDArray[np.int32]:  # a count of the core's, hence not above
        if "num_trajectories" not in self._held:
            self._held["num_trajectories"] = self._core.node_num_trajectories()
        return self._held["num_trajectories"]

    @property
    def nbytes(self) -> int:
        by_node = 8 * self._core.num_nodes
        by_chain = 40 * self._core.num_chains
        by_trajectory = 16 * self._core.num_trajectories
        return by_node + by_chain + by_trajectory + sum(c.nbytes for c in self._held.values())

    def search(self, **options: Any) -> Any:
        return _CoreResult(_core.search(self._core, **options), self._core)

    def pairs(self, min_gap: float) -> Any:
        return _core.enumerate_pairs(self._core, min_gap)

    def count_pairs(self, min_gap: float) -> int:
        return int(np.sum(_core.count_pairs(self._core, min_gap)))


class _CoreResult:
    def __init__(self, core: _core.SearchResult, forest: _core.Forest) -> None:
        self._core = core
        self._forest = forest
        self.best_end_node = core.best_end_node(forest)
        self.best_trajectory = core.best_trajectory

    def __getattr__(self, name: str) -> NDArray[Any]:
        return getattr(self._core, f"node_{name}")(self._forest)
