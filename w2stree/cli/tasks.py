"""`w2stree tasks`: the tasks of some runs as a table, to sort and to filter."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
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
from w2stree.cli.task_order import HEADER, Order, Won, cells, exact, mean, sorted_tasks, won
from w2stree.errors import InvalidInput

if TYPE_CHECKING:
    from w2stree.forest.tasks import Outcomes, TaskSummary


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
        listed = [row for row in listed if won(row) is success]
    listed = sorted_tasks(listed, sort, reverse=reverse)
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
    rows = [cells(row) for row in shown]
    if num_more := len(listed) - len(shown):
        rows.append((*[""] * (len(HEADER) - 1), f"({num_more:,} more)"))
    print_table(HEADER, [*rows, _total(listed, outcomes)], names=(len(HEADER) - 1,))
    say(_in_words(outcomes))
    say(runs.account(unlisted))
    return 0


def _record(row: TaskSummary) -> dict[str, Any]:
    return {**asdict(row), "spread": row.spread, "success_rate": row.success_rate}


def _total(rows: Sequence[TaskSummary], all_of_them: Outcomes) -> tuple[str, ...]:
    num_success, num_runs = all_of_them.num_success, all_of_them.num_runs
    return (
        f"{num_runs:,}",
        "-" if num_success is None else f"{num_success:,}/{num_runs:,}",
        mean(all_of_them.mean_return),
        exact(all_of_them.min_return),
        exact(all_of_them.max_return),
        "",
        f"{sum(row.num_decision_divergences for row in rows):,}",
        f"{sum(row.num_pairs for row in rows):,}",
        f"all: {counted(len(rows), 'task')}",
    )


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
