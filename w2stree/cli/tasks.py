"""`w2stree tasks`: the tasks of some runs as a table, to sort and to filter."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from w2stree.cli.choice import no_task, tasks_beginning
from w2stree.cli.forests import (
    Embed,
    Guard,
    MinGap,
    MinSimilarity,
    SuccessAt,
    read_forest,
    rule_of,
)
from w2stree.cli.inputs import AsJson, Source, takes_runs
from w2stree.cli.parameters import Normalize, one_of, whole_number
from w2stree.cli.progress import print_table
from w2stree.cli.say import counted, say
from w2stree.errors import InvalidInput

if TYPE_CHECKING:
    from w2stree.forest.tasks import Outcomes, TaskSummary

_HEADER = ("runs", "success", "return", "least", "most", "spread", "diverge", "pairs", "task")


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


@takes_runs
def tasks(
    source: Source,
    task: Annotated[
        str | None,
        typer.Option(metavar="TASK", help="tasks whose id begins so", show_default=False),
    ] = None,
    min_runs: Annotated[
        int,
        typer.Option(parser=whole_number(at_least=0), metavar="N", help="of at least N runs"),
    ] = 0,
    min_pairs: Annotated[
        int,
        typer.Option(parser=whole_number(at_least=0), metavar="N", help="with at least N pairs"),
    ] = 0,
    success: Annotated[
        Won | None,
        typer.Option(
            parser=one_of(Won),
            metavar="|".join(Won),
            help="where none of the runs was a success, or some but not all, or all",
            show_default=False,
        ),
    ] = None,
    sort: Annotated[
        Order | None,
        typer.Option(
            parser=one_of(Order),
            metavar="COLUMN",
            help="by a column, greatest first (task: by its id); without it as they were read",
            show_default=False,
        ),
    ] = None,
    reverse: Annotated[bool, typer.Option("--reverse", help="the other way round")] = False,
    limit: Annotated[
        int | None,
        typer.Option(
            parser=whole_number(at_least=1), metavar="N", help="N rows", show_default=False
        ),
    ] = None,
    min_gap: MinGap = 0.0,
    success_at: SuccessAt = None,
    min_similarity: MinSimilarity = None,
    embed: Embed = None,
    normalize: Normalize = None,
    guard: Guard = True,
    as_json: AsJson = False,
) -> int:
    """List the tasks: runs, successes, returns, pairs.

    A row a task, and one for all that are listed: mean, least and greatest return, the spread
    between these, decision divergences (nodes where runs took different actions) and the
    preference pairs to be had there. A saved forest is taken too, alone.
    """
    from w2stree.forest.tasks import outcomes_of

    rule = rule_of(min_similarity, embed, normalize, guard=guard)
    forest, runs = read_forest(source, rule)
    every = forest.tasks(min_gap=min_gap, success_threshold=success_at)
    if success is not None and any(row.success_rate is None for row in every if row.num_runs):
        raise InvalidInput(
            "--success: returns lie outside [0, 1]; say from which on a run is one (--success-at)"
        )
    listed = [row for row in every if row.num_runs >= min_runs and row.num_pairs >= min_pairs]
    if task is not None:
        begun = set(tasks_beginning(forest.task_ids, task))
        if not begun:
            raise InvalidInput(no_task(forest.task_ids, task))
        listed = [row for row in listed if row.task_id in begun]
    if success is not None:
        listed = [row for row in listed if _won(row) is success]
    listed = _sorted(listed, sort, reverse=reverse)
    outcomes = outcomes_of(listed)
    unlisted = {"of tasks not listed": len(runs.trajectories) - outcomes.num_runs}
    shown = listed[:limit]
    if as_json:
        record = {
            "tasks": [_record(row) for row in shown],
            "total": asdict(outcomes),
            **runs.counts(unlisted),
        }
        say(json.dumps(record, indent=2))
        return 0
    rows = [_row(row) for row in shown]
    if num_more := len(listed) - len(shown):
        rows.append((*[""] * (len(_HEADER) - 1), f"({num_more:,} more)"))
    print_table(_HEADER, [*rows, _total(listed, outcomes)], names=(len(_HEADER) - 1,))
    say(_in_words(outcomes))
    say(runs.account(unlisted))
    return 0


def _won(row: TaskSummary) -> Won | None:
    rate = row.success_rate
    if rate is None:
        return None
    return Won.NONE if rate == 0 else Won.ALL if rate == 1 else Won.SOME


def _sorted(
    rows: Sequence[TaskSummary], order: Order | None, *, reverse: bool
) -> list[TaskSummary]:
    """Ties stay as they were read; what is not known stands last."""
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


def _record(row: TaskSummary) -> dict[str, Any]:
    return {**asdict(row), "spread": row.spread, "success_rate": row.success_rate}


def _row(row: TaskSummary) -> tuple[str, ...]:
    return (
        f"{row.num_runs:,}",
        "-" if row.num_success is None else f"{row.num_success:,}/{row.num_runs:,}",
        _mean(row.mean_return),
        _exact(row.min_return),
        _exact(row.max_return),
        f"{row.spread:g}",
        f"{row.num_decision_divergences:,}",
        f"{row.num_pairs:,}",
        row.task_id,
    )


def _total(rows: Sequence[TaskSummary], all_of_them: Outcomes) -> tuple[str, ...]:
    num_success, num_runs = all_of_them.num_success, all_of_them.num_runs
    return (
        f"{num_runs:,}",
        "-" if num_success is None else f"{num_success:,}/{num_runs:,}",
        _mean(all_of_them.mean_return),
        _exact(all_of_them.min_return),
        _exact(all_of_them.max_return),
        "",
        f"{sum(row.num_decision_divergences for row in rows):,}",
        f"{sum(row.num_pairs for row in rows):,}",
        f"all: {counted(len(rows), 'task')}",
    )


def _mean(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _exact(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"


def _in_words(outcomes: Outcomes) -> str:
    """34 tasks of successes alone, 29 without any; pairs in 213 tasks, half of them in 77"""
    words = []
    if outcomes.num_all_succeed is not None:
        words.append(
            f"{counted(outcomes.num_all_succeed, 'task')} of successes alone, "
            f"{outcomes.num_all_fail:,} without any"
        )
    pairs = f"pairs in {counted(outcomes.num_tasks_with_pairs, 'task')}"
    if outcomes.num_tasks_with_half_of_pairs:
        pairs += f", half of them in {outcomes.num_tasks_with_half_of_pairs:,}"
    return "; ".join([*words, pairs])
