"""Every call the benchmarks make to w2stree, so that a renamed one is changed in one place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from numpy.typing import NDArray

import w2stree
import w2stree.forest
from bench.core.workloads import Workload
from w2stree.forest.node_columns import NODE_COLUMNS
from w2stree.training.trees import cut
from w2stree.training.trees import pack as packing
from w2stree.training.trees.sequences import ScoredIds

Forest = Any
Arrays = dict[str, NDArray[Any]]

NODE_ARRAYS = NODE_COLUMNS
OTHER_ARRAYS = ("root", "end_node", "trajectory_order")
STATISTICS = ("visit_count", "value_sum", "stop_visit_count", "stop_value_sum")
BEST = ("best_end_node", "best_trajectory")
PACK_COLUMNS = (
    "token",
    "position",
    "parent",
    "end",
    "end_node",
    "entry_score",
    "node",
    "weight",
)
PAIR_COLUMNS = ("divergence", "chosen", "rejected", "gap")


def build(workload: Workload, *, num_threads: int = 1) -> Forest:
    columns = (
        workload.action_id,
        workload.observation_id,
        workload.step_offset,
        workload.tree_id,
        workload.total_return,
    )
    return w2stree.forest.build_forest_from_ids(
        *columns, num_trees=workload.num_trees, num_threads=num_threads
    )


def build_with_arrays(workload: Workload, *, num_threads: int = 1) -> Arrays:
    """The arrays of a new forest, made by so many threads: its own are made by as many as there are
    cores, when asked for."""
    core = build(workload, num_threads=num_threads).core
    return {name: _made(core, name, num_threads) for name in (*NODE_ARRAYS, *OTHER_ARRAYS)}


def _made(core: Any, name: str, num_threads: int) -> NDArray[Any]:
    if name in ("action_id", "observation_id", "trajectory_order"):
        return getattr(core, name)  # type: ignore[no-any-return]  # held by the core
    method = {"root": "root_node", "end_node": "end_node"}.get(name, f"node_{name}")
    return getattr(core, method)(num_threads)  # type: ignore[no-any-return]


def arrays(forest: Forest) -> Arrays:
    return {name: getattr(forest, name) for name in (*NODE_ARRAYS, *OTHER_ARRAYS)}


def build_from_texts(
    task_id: list[str],
    actions: list[list[str]],
    observations: list[list[str]],
    total_return: list[float],
) -> Forest:
    return w2stree.forest.build_forest_from_texts(
        task_id, actions, observations, total_return, num_threads=1
    )


def build_from_arrow(table: Any) -> Forest:
    return w2stree.forest.build_forest_from_arrow(table, num_threads=1)


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
    return iter(forest.stream_pairs(min_gap=0.0, chunk_size=chunk_size))


def states(forest: Forest, key: NDArray[Any]) -> Any:
    return forest.states(key, num_threads=1)


def best_paths(graph: Any) -> Any:
    return graph.best_paths(num_threads=1)


def nbytes(forest: Forest) -> int:
    """Bytes the forest holds now."""
    return int(forest.nbytes)


def num_nodes(forest: Forest) -> int:
    return int(forest.num_nodes)


def pack(sequences: Sequence[ScoredIds]) -> Arrays:
    """Every column of a pack."""
    packed = packing.pack(sequences)
    return {name: getattr(packed, name) for name in PACK_COLUMNS}


def parts(sequences: Sequence[ScoredIds], max_tokens: int) -> list[NDArray[Any]]:
    return cut.parts(sequences, max_tokens)
