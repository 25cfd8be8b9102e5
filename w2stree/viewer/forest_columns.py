"""What a view holds of a forest, as columns (docs/viewer.md has the picture).

Four columns say the whole tree: depth, action, observation and how many runs end, by node in
pre-order. The view makes the rest of them: parents, subtrees, which runs pass where.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from w2stree import _core
from w2stree.forest.forest import Forest
from w2stree.viewer.packing import narrow
from w2stree.viewer.text_table import TextTable

if TYPE_CHECKING:
    from w2stree.forest.search import SearchResult

DECISION, ENVIRONMENT = 1, 2
"""Bits of `flags`: what diverges at a node."""

Columns = dict[str, NDArray[Any]]


def tree_columns(forest: Forest, texts: TextTable) -> Columns:
    """By node `depth action observation num_terminal flags`, by tree `task`, and by run, in the
    order of `trajectory_order`, `run` (its index there) and `run_return`."""
    flags = DECISION * forest.is_decision_divergence.astype(np.uint8)
    flags += ENVIRONMENT * forest.is_environment_divergence.astype(np.uint8)
    order = forest.trajectory_order
    return {
        "depth": narrow(forest.depth),
        "action": _numbered(texts, forest.actions, forest.action_id),
        "observation": _numbered(texts, forest.observations, forest.observation_id),
        "num_terminal": narrow(forest.num_terminal),
        "flags": flags,
        "task": texts.numbers(forest.task_ids),
        "run": order.astype(np.uint32),
        "run_return": forest.total_return[order],
    }


def pair_columns(forest: Forest, min_gap: float) -> Columns:
    """`pair_node`, where there are pairs, and how many, `pair_count`: doubles, since one node may
    have more than 32 bits hold. Cost: `count_pairs`."""
    counts = _core.count_pairs(forest.core, _core.PairRule(min_gap, None))
    nodes = np.flatnonzero(counts)
    return {"pair_node": nodes.astype(np.uint32), "pair_count": counts[nodes].astype(np.float64)}


def search_columns(search: SearchResult) -> Columns:
    """By node `visits`, and the best paths of each tree."""
    most = np.iinfo(np.uint32).max
    return {
        "visits": narrow(np.minimum(search.visit_count, most)),
        "best_node": search.path_end_node.astype(np.uint32),
        "best_value": np.asarray(search.path_value),
        "best_visits": np.minimum(search.path_visit_count, most).astype(np.uint32),
    }


def _numbered(texts: TextTable, own: Sequence[str], ids: NDArray[np.int32]) -> NDArray[np.uint32]:
    """Of each node the number of its text; 0 at roots, which have none."""
    numbers = np.append(texts.numbers(own), 0).astype(np.uint32)
    return numbers[ids]  # -1 is the last
