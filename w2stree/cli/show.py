"""`w2stree show`: one run, whole."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from w2stree.cli.choice import ChosenRun, all_runs, chosen_runs, chosen_task
from w2stree.cli.inputs import AsJson, Source, takes_runs
from w2stree.cli.parameters import whole_number
from w2stree.cli.progress import print_table
from w2stree.cli.say import say
from w2stree.cli.transcript import described, transcript
from w2stree.shorten import visible

_MOST_ROWS = 200


@takes_runs
def show(
    source: Source,
    task: Annotated[
        str | None,
        typer.Option(
            metavar="TASK", help="of this task; its id, or how it begins", show_default=False
        ),
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(
            metavar="N|best|worst",
            help="the N-th of these runs, or the one of the greatest or least return (the first of "
            "several)",
            show_default=False,
        ),
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option(
            parser=whole_number(at_least=0),
            metavar="N",
            help="the run whose origin is sample N",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Show one run: the prompt, every turn, every answer.

    A run is named by its place instead of a path, runs.jsonl:17 for the one on that line, or
    chosen among those at the paths by --task and --run.

    Texts are whole; what a terminal would obey is shown. Where several runs are meant, they are
    listed, each with the place by which it can be shown. Error rows are runs like others.
    """
    read = all_runs(source)
    if task is not None:
        chosen = chosen_task((t.task_id for t in read.trajectories), task)
        read = read.only(lambda trajectory: trajectory.task_id == chosen, "of other tasks")
    found = chosen_runs(read, run=run, sample=sample)
    unused = {"other runs": len(read.trajectories) - len(found)}
    if as_json:
        say(json.dumps([_record(one) for one in found] if len(found) > 1 else _record(found[0])))
    elif len(found) > 1:
        _list(found)
        say(read.account(unused))
    else:
        (one,) = found
        of_all = f", run {one.number} of {len(read.places):,}" if len(read.places) > 1 else ""
        say(f"task {visible(one.trajectory.task_id)}\n{visible(one.place)}{of_all}")
        say("\n".join(transcript(one.trajectory)))
        say(visible(described(one.trajectory)))
        say(read.account(unused))
    return 0


def _record(found: ChosenRun) -> dict[str, Any]:
    return {"place": found.place, "run": found.number, **json.loads(found.trajectory.to_json())}


def _list(found: Sequence[ChosenRun]) -> None:
    print_table(
        ("run", "return", "status", "steps", "sample", "place", "task"),
        [_row(one) for one in found[:_MOST_ROWS]],
        names=(2, 5, 6),
    )
    if (num_more := len(found) - _MOST_ROWS) > 0:
        say(f"({num_more:,} more: choose a task, --task; w2stree tasks lists them)")
    say("several runs: show one by its place, or by --task and --run")


def _row(found: ChosenRun) -> tuple[str, ...]:
    trajectory = found.trajectory
    sample = trajectory.origin.sample_index
    return (
        f"{found.number}",
        f"{trajectory.total_return:g}",
        trajectory.status,
        f"{len(trajectory.steps)}",
        "-" if sample is None else f"{sample}",
        found.place,
        trajectory.task_id,
    )
