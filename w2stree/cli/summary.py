"""What an exploration ends with: a table of tasks, then what failed, why, and what remains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from w2stree.cli.progress import print_table
from w2stree.cli.say import say
from w2stree.percent import percent

if TYPE_CHECKING:
    from w2stree.rollouts.exploration import Exploration
    from w2stree.rollouts.tally import TaskTally

MOST_ROWS = 20
_HEADER = ("task", "success", "return", "errors", "truncated", "unparsed", "tokens", "diversity")


def print_summary(exploration: Exploration, *, every_task: bool) -> None:
    """To standard output."""
    tallies = exploration.tallies
    if tallies:
        print_table(_HEADER, _rows(tallies, len(tallies) if every_task else MOST_ROWS))
    for line in exploration.outcome().in_words():
        say(line)


def _rows(tallies: Mapping[str, TaskTally], most: int) -> list[tuple[str, ...]]:
    """A row for each task, of many for the `most` worst, and one for all. Unparsed are turns
    without an action, of all turns; diversity is distinct action sequences / runs."""
    shown = list(tallies.items())
    if len(shown) > most:
        shown = sorted(shown, key=lambda item: _merit(item[1]))[:most]
    rows = [_row(task_id, (tally,)) for task_id, tally in shown]
    if num_more := len(tallies) - len(shown):
        rows.append((f"({num_more:,} more: --every-task)", *[""] * (len(_HEADER) - 1)))
    if len(tallies) > 1:
        rows.append(_row("all", tuple(tallies.values())))
    return rows


def _merit(tally: TaskTally) -> tuple[float, ...]:
    """Low for the worst: nothing finished, many errors, little success, low returns."""
    runs = max(1, tally.num_finished)
    return (
        min(1, tally.num_finished),
        -tally.num_errors,
        tally.num_success / runs,
        tally.return_sum / runs,
    )


def _row(name: str, tallies: Sequence[TaskTally]) -> tuple[str, ...]:
    num_finished = sum(tally.num_finished for tally in tallies)
    runs = max(1, num_finished)
    num_tokens = sum(t.num_tokens for t in tallies)
    return (
        name,
        f"{sum(t.num_success for t in tallies)}/{num_finished}" if num_finished else "-",
        f"{sum(t.return_sum for t in tallies) / runs:.2f}" if num_finished else "-",
        f"{sum(t.num_errors for t in tallies)}",
        f"{sum(t.num_truncated for t in tallies)}",
        f"{sum(t.num_unparsed for t in tallies)}/{sum(t.num_turns for t in tallies)}",
        f"{num_tokens:,}" if num_tokens else "-",  # no ids, and no count by the server
        percent(sum(t.num_distinct for t in tallies) / runs, 0) if num_finished else "-",
    )
