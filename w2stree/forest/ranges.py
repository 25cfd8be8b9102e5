"""Whether a forest's returns lie where thresholds and bonuses take them to lie."""

from __future__ import annotations

from typing import TYPE_CHECKING

from w2stree.trajectories.returns import ReturnRange, at_least, check_returns, checked_range

if TYPE_CHECKING:
    from w2stree.forest.forest import Forest


def check_range_of(forest: Forest, return_range: ReturnRange | None) -> ReturnRange:
    """The range. Raises `InvalidInput` for a bad one, and naming the first trajectory whose return
    is outside. O(num_trajectories), of which Python sees none if all are inside."""
    low, high = checked_range(return_range)
    returns = forest.total_return
    if returns.size and not (
        at_least(float(returns.min()), low) and at_least(high, float(returns.max()))
    ):
        named = (
            (f"trajectories[{i}] of task {forest.trajectories[i].task_id!r}", value)
            for i, value in enumerate(returns.tolist())
        )
        check_returns(named, return_range)
    return low, high
