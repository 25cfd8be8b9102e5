"""A table of tasks, sorted: what `w2stree tasks` prints and a view in a terminal shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from w2stree.forest.tasks import TaskSummary


class Won(StrEnum):
    """How many of a task's runs were successes."""

    NONE = "none"
    SOME = "some"
    ALL = "all"


class Order(StrEnum):
    """What a table of tasks is sorted by: its columns."""

    TASK = "task"
    RUNS = "runs"
    SUCCESS = "success"
    RETURN = "return"
    LEAST = "least"
    MOST = "most"
    SPREAD = "spread"
    DIVERGE = "diverge"
    PAIRS = "pairs"


HEADER = ("runs", "success", "return", "least", "most", "spread", "diverge", "pairs", "task")


def won(row: TaskSummary) -> Won | None:
    """None where nothing says which returns are a success, and without runs."""
    rate = row.success_rate
    if rate is None:
        return None
    return Won.NONE if rate == 0 else Won.ALL if rate == 1 else Won.SOME


def sorted_tasks(
    rows: Sequence[TaskSummary], order: Order | None, *, reverse: bool
) -> list[TaskSummary]:
    """The greatest first, ids from A on. Ties stay as they were read; what is not known stands
    last."""
    if order is None:
        return list(rows[::-1] if reverse else rows)
    if order is Order.TASK:
        return sorted(rows, key=lambda row: row.task_id, reverse=reverse)
    value = _VALUES[order]
    known = [row for row in rows if value(row) is not None]
    unknown = [row for row in rows if value(row) is None]
    return sorted(known, key=lambda row: (value(row) or 0.0) * (1 if reverse else -1)) + unknown


_VALUES: dict[Order, Callable[[TaskSummary], float | None]] = {
    Order.RUNS: lambda row: row.num_runs,
    Order.SUCCESS: lambda row: row.success_rate,
    Order.RETURN: lambda row: row.mean_return,
    Order.LEAST: lambda row: row.min_return,
    Order.MOST: lambda row: row.max_return,
    Order.SPREAD: lambda row: row.spread,
    Order.DIVERGE: lambda row: row.num_decision_divergences,
    Order.PAIRS: lambda row: row.num_pairs,
}


def cells(row: TaskSummary) -> tuple[str, ...]:
    """Below `HEADER`."""
    return (
        f"{row.num_runs:,}",
        "-" if row.num_success is None else f"{row.num_success:,}/{row.num_runs:,}",
        mean(row.mean_return),
        exact(row.min_return),
        exact(row.max_return),
        f"{row.spread:g}",
        f"{row.num_decision_divergences:,}",
        f"{row.num_pairs:,}",
        row.task_id,
    )


def mean(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def exact(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"
