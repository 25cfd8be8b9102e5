"""Counts over a forest: how much trajectories share, and how much there is to learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from w2stree import _core
from w2stree.forest.texts import empty_texts
from w2stree.percent import percent

if TYPE_CHECKING:
    from w2stree.forest.forest import Forest


@dataclass(frozen=True, slots=True)
class ForestSummary:
    """Counts over a forest; `print` shows them as a table."""

    num_trees: int
    num_trajectories: int
    num_errors: int
    """Trajectories with status "error", left out."""
    num_steps: int
    num_unparsed: int
    """Steps whose turn had no action."""
    num_nodes: int
    """Roots included."""
    merge_rate: float
    """1 - (nodes that are not roots) / steps: the share of steps that reused a node;
    0 without steps."""
    distinct_share: float
    """Distinct action and observation sequences / trajectories; 1/M under greedy decoding;
    0 where there are no trajectories."""
    mean_branching: float
    """Mean number of children over nodes with at least two; 0 where none has."""
    num_decision_divergences: int
    num_environment_divergences: int
    num_informative_divergences: int
    """Decision divergences with at least one pair: returns differ across actions."""
    num_pairs: int
    """Pairs at `min_gap=0`."""

    def __str__(self) -> str:
        return two_columns(self.rows())

    def rows(self) -> list[tuple[str, str]]:
        """What each number is, and the number; what belongs to the one above is indented."""
        return [
            ("trees", f"{self.num_trees:,}"),
            ("trajectories", f"{self.num_trajectories:,}"),
            ("  left out (errors)", f"{self.num_errors:,}"),
            ("  distinct", percent(self.distinct_share)),
            ("steps", f"{self.num_steps:,}"),
            *([("  without an action", f"{self.num_unparsed:,}")] if self.num_unparsed else []),
            ("nodes", f"{self.num_nodes:,}"),
            ("  steps merged", percent(self.merge_rate)),
            ("  children at branching nodes", f"{self.mean_branching:.2f}"),
            ("decision divergences", f"{self.num_decision_divergences:,}"),
            ("  informative", f"{self.num_informative_divergences:,}"),
            ("environment divergences", f"{self.num_environment_divergences:,}"),
            ("preference pairs", f"{self.num_pairs:,}"),
        ]


def two_columns(rows: Sequence[tuple[str, str]]) -> str:
    """Names to the left, values to the right, a line each."""
    name_width = max(len(name) for name, _ in rows)
    value_width = max(len(value) for _, value in rows)
    return "\n".join(f"{name:<{name_width}}  {value:>{value_width}}" for name, value in rows)


def summarize(forest: Forest) -> ForestSummary:
    """See `Forest.summary`."""
    num_trees, num_trajectories = len(forest), len(forest.trajectories)
    num_steps = int(forest.depth[forest.end_node].sum(dtype=np.int64))
    fan_out = forest.num_children[forest.num_children >= 2]
    num_pairs_at = _core.count_pairs(forest.core, _core.PairRule())
    return ForestSummary(
        num_trees=num_trees,
        num_trajectories=num_trajectories,
        num_errors=forest.num_errors,
        num_steps=num_steps,
        num_unparsed=_num_unparsed(forest),
        num_nodes=forest.num_nodes,
        merge_rate=1 - (forest.num_nodes - num_trees) / num_steps if num_steps else 0.0,
        distinct_share=int(np.count_nonzero(forest.num_terminal)) / max(num_trajectories, 1),
        mean_branching=float(fan_out.mean()) if fan_out.size else 0.0,
        num_decision_divergences=int(np.count_nonzero(forest.is_decision_divergence)),
        num_environment_divergences=int(np.count_nonzero(forest.is_environment_divergence)),
        num_informative_divergences=int(np.count_nonzero(num_pairs_at)),
        num_pairs=int(num_pairs_at.sum()),
    )


def _num_unparsed(forest: Forest) -> int:
    nodes = np.isin(forest.action_id, empty_texts(forest.actions))
    return int(forest.num_trajectories[nodes].sum(dtype=np.int64))
