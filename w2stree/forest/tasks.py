"""A forest task by task: how its runs ended, and how much there is to learn from them.

runs  successes  returns        divergences  pairs  task
   7          0  0.00                     4      0  clean/fork    nobody won: nothing to prefer
   7          3  0.43 (0 to 1)            5     12  heat/apple
   7          7  1.00                     3      0  cool/pan      everybody did
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from w2stree import _core
from w2stree.forest.arguments import finite
from w2stree.forest.pairs import pair_rule
from w2stree.percent import percent
from w2stree.trajectories.returns import tolerance, usual_threshold

if TYPE_CHECKING:
    from w2stree.forest.forest import Forest


@dataclass(frozen=True, slots=True)
class TaskSummary:
    """One task's tree in numbers. Returns are None where the tree has no trajectory, successes
    where nothing says which returns are one."""

    task_id: str
    num_runs: int
    num_success: int | None
    mean_return: float | None
    min_return: float | None
    max_return: float | None
    num_steps: int
    num_nodes: int
    """The root included."""
    num_decision_divergences: int
    num_environment_divergences: int
    num_informative_divergences: int
    """Decision divergences with at least one pair."""
    num_pairs: int

    @property
    def spread(self) -> float:
        """Greatest return - least return; 0 without runs."""
        if self.max_return is None or self.min_return is None:
            return 0.0
        return self.max_return - self.min_return

    @property
    def success_rate(self) -> float | None:
        if self.num_success is None or not self.num_runs:
            return None
        return self.num_success / self.num_runs


@dataclass(frozen=True, slots=True)
class Outcomes:
    """How the runs of many tasks ended, and in how many tasks there are pairs.

    Numbers of successes are None where nothing says which returns are one. `num_all_fail` tasks
    have runs and no success, `num_all_succeed` nothing else, `num_mixed` both.
    `num_tasks_with_half_of_pairs`: how few tasks have half of all pairs.
    """

    num_tasks: int
    num_runs: int
    num_success: int | None
    num_all_fail: int | None
    num_all_succeed: int | None
    num_mixed: int | None
    mean_return: float | None
    min_return: float | None
    max_return: float | None
    num_tasks_with_pairs: int
    num_tasks_with_half_of_pairs: int

    @property
    def success_rate(self) -> float | None:
        """Of runs, not of tasks."""
        if self.num_success is None or not self.num_runs:
            return None
        return self.num_success / self.num_runs

    def rows(self) -> list[tuple[str, str]]:
        """What each number is, and the number, as `ForestSummary.rows`."""
        rows = []
        if self.mean_return is not None:
            rows += [
                ("mean return", f"{self.mean_return:.3f}"),
                ("  least, greatest", f"{self.min_return:g}, {self.max_return:g}"),
            ]
        if self.success_rate is not None:
            rows += [
                ("successes", f"{self.num_success:,} ({percent(self.success_rate)})"),
                ("  tasks without any", f"{self.num_all_fail:,}"),
                ("  tasks of successes alone", f"{self.num_all_succeed:,}"),
                ("  tasks with both", f"{self.num_mixed:,}"),
            ]
        rows.append(("tasks with pairs", f"{self.num_tasks_with_pairs:,}"))
        if self.num_tasks_with_half_of_pairs:
            rows.append(("  that have half of all pairs", f"{self.num_tasks_with_half_of_pairs:,}"))
        return rows


def summarize_tasks(
    forest: Forest, *, min_gap: float = 0.0, success_threshold: float | None = None
) -> list[TaskSummary]:
    """See `Forest.tasks`."""
    returns = forest.total_return
    threshold = (
        usual_threshold(returns.min(initial=0.0), returns.max(initial=0.0))
        if success_threshold is None
        else finite("success_threshold", success_threshold)
    )
    root, end = forest.root, forest.subtree_end[forest.root]
    num_pairs_at = _core.count_pairs(forest.core, pair_rule(forest, min_gap, None, None))
    num_runs = forest.num_trajectories[root]
    runs = _Runs(forest, num_runs)
    sums = forest.return_sum[root]
    means = [s / n if n else None for s, n in zip(sums.tolist(), num_runs.tolist(), strict=True)]
    columns = (
        forest.task_ids,
        num_runs.tolist(),
        [None] * len(root) if threshold is None else runs.successes(threshold),
        means,
        runs.least(returns),
        runs.least(-returns, sign=-1.0),
        runs.total(forest.depth[forest.end_node]),
        (end - root).tolist(),
        *(
            _within(flags, root, end)
            for flags in (
                forest.is_decision_divergence,
                forest.is_environment_divergence,
                num_pairs_at > 0,
                num_pairs_at,
            )
        ),
    )
    return [TaskSummary(*row) for row in zip(*columns, strict=True)]


def outcomes_of(tasks: Sequence[TaskSummary]) -> Outcomes:
    """Over these tasks, all of a forest or some."""
    played = [task for task in tasks if task.num_runs]
    num_runs = sum(task.num_runs for task in played)
    means = [task.mean_return for task in played if task.mean_return is not None]
    lows = [task.min_return for task in played if task.min_return is not None]
    highs = [task.max_return for task in played if task.max_return is not None]
    sums = [mean * task.num_runs for mean, task in zip(means, played, strict=True)]
    rates = [task.success_rate for task in played]
    is_known = None not in rates
    return Outcomes(
        num_tasks=len(tasks),
        num_runs=num_runs,
        num_success=sum(task.num_success or 0 for task in played) if is_known else None,
        num_all_fail=rates.count(0.0) if is_known else None,
        num_all_succeed=rates.count(1.0) if is_known else None,
        num_mixed=sum(0.0 < (rate or 0.0) < 1.0 for rate in rates) if is_known else None,
        mean_return=sum(sums) / num_runs if num_runs else None,
        min_return=min(lows, default=None),
        max_return=max(highs, default=None),
        num_tasks_with_pairs=sum(task.num_pairs > 0 for task in tasks),
        num_tasks_with_half_of_pairs=_fewest_with_half([task.num_pairs for task in tasks]),
    )


def _fewest_with_half(counts: Sequence[int]) -> int:
    total = np.cumsum(sorted(counts, reverse=True))
    if not len(total) or not total[-1]:
        return 0
    return int(np.searchsorted(total * 2, total[-1])) + 1


def _within(
    by_node: NDArray[np.bool_] | NDArray[np.int64], root: NDArray[np.int32], end: NDArray[np.int32]
) -> list[int]:
    """The sum over each tree's nodes."""
    before = np.zeros(len(by_node) + 1, np.int64)
    np.cumsum(by_node, out=before[1:])
    sums: list[int] = (before[end] - before[root]).tolist()
    return sums


class _Runs:
    """What is known of trajectories, gathered by tree; trees without any are left out there."""

    def __init__(self, forest: Forest, num_runs: NDArray[np.int32]) -> None:
        self._order = forest.trajectory_order
        self._returns = forest.total_return
        self._has_any = num_runs > 0
        self._first = forest.first_trajectory[forest.root][self._has_any]

    def successes(self, threshold: float) -> list[int]:
        return self.total(self._returns >= threshold - tolerance(threshold))

    def total(self, values: NDArray[np.bool_] | NDArray[np.int32]) -> list[int]:
        sums = np.zeros(len(self._has_any), np.int64)
        if self._first.size:
            gathered = values[self._order].astype(np.int64)
            sums[self._has_any] = np.add.reduceat(gathered, self._first)
        totals: list[int] = sums.tolist()
        return totals

    def least(self, values: NDArray[np.float64], *, sign: float = 1.0) -> list[float | None]:
        least = np.zeros(len(self._has_any))
        if self._first.size:
            least[self._has_any] = np.minimum.reduceat(values[self._order], self._first)
        return [
            sign * value if has_any else None
            for value, has_any in zip(least.tolist(), self._has_any.tolist(), strict=True)
        ]
