"""`w2stree diff`: two runs side by side from where they part, or what one file lacks of another."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from w2stree.cli.choice import all_runs, chosen_task
from w2stree.cli.inputs import AsJson, Runs, Source, takes_named_runs
from w2stree.cli.progress import print_side_by_side
from w2stree.cli.say import counted, say, terminal_width
from w2stree.cli.transcript import NO_ACTION, described, indented, step_lines
from w2stree.errors import InvalidInput
from w2stree.shorten import visible

if TYPE_CHECKING:
    from w2stree.trajectories.comparison import Comparison, Parting
    from w2stree.trajectories.trajectory import Trajectory

_SHOWN = 10
_WIDTH = 120  # where no terminal says it
_PARTS = {
    "action": "then the actions differ",
    "answer": "then the answer to the same action differs",
    "end": "then one of them ends",
    "nothing": "and no more: nothing differs in what was done and answered",
}


@takes_named_runs
def diff(
    source: Source,
    left: Annotated[
        str,
        typer.Argument(metavar="A", help="a run (runs.jsonl:3), or a file or folder of runs"),
    ],
    right: Annotated[str, typer.Argument(metavar="B", help="what it is compared with")],
    task: Annotated[
        str | None,
        typer.Option(
            metavar="TASK",
            help="this task's runs alone; its id, or how it begins",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Compare two runs step by step, or two files run by run.

    Two runs, also a file of one, are shown side by side from the first action or answer that
    differs, every text whole. Of files or folders it is told which tasks and runs one has and the
    other lacks: runs are the same where task, actions, answers, return and status are. The exit
    status is 1 where anything differs.
    """
    from w2stree.trajectories.comparison import compare, parting_of

    one = _read(source.at(left), task)
    other = _read(source.at(right), task)
    if len(one.trajectories) == len(other.trajectories) == 1:
        first, second = one.trajectories[0], other.trajectories[0]
        parting = parting_of(first, second)
        if as_json:
            say(json.dumps(_record_of_runs(one, other, parting), indent=2))
        else:
            _say_runs(one, other, parting)
        is_same = parting.what == "nothing" and compare([first], [second]).is_same
        return 0 if is_same and first.prompt == second.prompt else 1
    comparison = compare(one.trajectories, other.trajectories)
    if as_json:
        say(json.dumps(_record_of_files(one, other, comparison), indent=2))
    else:
        _say_files(one, other, comparison)
    return 0 if comparison.is_same else 1


def _read(source: Source, task: str | None) -> Runs:
    read = all_runs(source)
    if task is not None:
        chosen = chosen_task((t.task_id for t in read.trajectories), task)
        read = read.only(lambda trajectory: trajectory.task_id == chosen, "of other tasks")
    if not read.trajectories:
        raise InvalidInput(f"{read.where}: there are no runs in it")
    return read


def _say_runs(one: Runs, other: Runs, parting: Parting) -> None:
    first, second = one.trajectories[0], other.trajectories[0]
    width = terminal_width() or _WIDTH
    is_one_task = first.task_id == second.task_id
    if is_one_task:
        say(f"task {visible(first.task_id)}")
    print_side_by_side(
        [(_head(one, with_task=not is_one_task), _head(other, with_task=not is_one_task))], width
    )
    if first.prompt != second.prompt:
        say("\nthe prompts differ")
        print_side_by_side([(_prompt(first), _prompt(second))], width)
    say(f"\n{_counted(parting.num_shared, 'step')} the same, {_PARTS[parting.what]}")
    for number, step in enumerate(first.steps[: parting.num_shared], start=1):
        say(f"{number}. {visible(step.action) or NO_ACTION}")
    num_rows = max(len(first.steps), len(second.steps))
    if rest := range(parting.num_shared, num_rows):
        say("")
        print_side_by_side([(_step(first, i), _step(second, i)) for i in rest], width)
    say(f"\nA: {one.account()}\nB: {other.account()}")


def _head(runs: Runs, *, with_task: bool) -> list[str]:
    trajectory = runs.trajectories[0]
    task = [f"task {trajectory.task_id}"] if with_task else []
    return [*task, runs.places[0], described(trajectory)]


def _prompt(trajectory: Trajectory) -> list[str]:
    return [line for m in trajectory.prompt for line in (m.role, *indented(m.content))]


def _step(trajectory: Trajectory, i: int) -> list[str]:
    if i < len(trajectory.steps):
        return list(step_lines(i + 1, trajectory.steps[i]))
    return [f"(ended: {trajectory.status})"] if i == len(trajectory.steps) else []


def _say_files(one: Runs, other: Runs, found: Comparison) -> None:
    say(f"A {visible(one.where)}\nB {visible(other.where)}\n")
    say(f"{_counted(len(found.tasks_in_both), 'task')} in both")
    _say_some(f"{_counted(len(found.tasks_only_left), 'task')} in A alone", found.tasks_only_left)
    _say_some(f"{_counted(len(found.tasks_only_right), 'task')} in B alone", found.tasks_only_right)
    if found.same_opening:
        _say_some(
            f"{_counted(len(found.same_opening), 'task')} in both by two ids: they open alike",
            [f"{left}  =  {right}" for left, right in found.same_opening],
        )
    say(f"{_counted(found.num_same, 'run')} in both")
    in_both = set(found.tasks_in_both)
    for name, runs, only in (("A", one, found.only_left), ("B", other, found.only_right)):
        lines = [
            f"{runs.places[i]}  return {runs.trajectories[i].total_return:g}  "
            f"{runs.trajectories[i].task_id}"
            for i in only
            if runs.trajectories[i].task_id in in_both
        ]
        of_both = f", {len(lines):,} of them of tasks that are in both" if only else ""
        _say_some(f"{_counted(len(only), 'run')} in {name} alone{of_both}", lines)
    say(f"A: {one.account()}\nB: {other.account()}")


def _say_some(what: str, lines: Sequence[str]) -> None:
    say(what)
    for line in lines[:_SHOWN]:
        say(f"  {visible(line)}")
    if (num_more := len(lines) - _SHOWN) > 0:
        say(f"  and {num_more:,} more (--json has all)")


def _counted(count: int, what: str) -> str:
    return f"{counted(count, what)} {'is' if count == 1 else 'are'}"


def _record_of_runs(one: Runs, other: Runs, parting: Parting) -> dict[str, Any]:
    sides = {
        side: {"place": runs.places[0], **json.loads(runs.trajectories[0].to_json())}
        for side, runs in (("left", one), ("right", other))
    }
    return {**asdict(parting), **sides}


def _record_of_files(one: Runs, other: Runs, found: Comparison) -> dict[str, Any]:
    record = asdict(found)
    record["only_left"] = [one.places[i] for i in found.only_left]
    record["only_right"] = [other.places[i] for i in found.only_right]
    return {**record, "left": one.counts(), "right": other.counts()}
