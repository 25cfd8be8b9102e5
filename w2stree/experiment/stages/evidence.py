"""Why a run came out as it did, gathered from its stages for the report."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, get_args

from w2stree.errors import RunDirectoryError
from w2stree.evaluation import compared, contest, returns_by_task
from w2stree.experiment.analyses.divergence_cause import FIGURES_FILE
from w2stree.experiment.config import Config
from w2stree.experiment.logged_steps import logged_steps
from w2stree.experiment.methods import sft
from w2stree.experiment.methods.method import Method
from w2stree.experiment.run_json import read_json
from w2stree.experiment.stages.context import Context
from w2stree.experiment.stages.inputs import Input, inputs_for
from w2stree.report.evidence import (
    Causes,
    Contested,
    Evidence,
    Example,
    FailedShare,
    PairAccuracy,
    Played,
    ShownRow,
    ShownRows,
    Training,
)
from w2stree.rollouts.task_choice import Chosen
from w2stree.rows.rows import NO_NODE, Completion, PreferenceRow
from w2stree.shorten import shorten
from w2stree.trajectories.returns import at_least
from w2stree.trajectories.trajectory import Step, Trajectory

ASSUMPTION_FILE = "analyses/assumption.json"
"""Of the run, where `w2stree analyse assumption` has been asked."""

NUM_ROWS = 5
_MOST_STEPS = 6
_ACTION_COLUMNS, _ANSWER_COLUMNS, _STATEMENT_COLUMNS = 100, 160, 260

_WHEN = ("before", "after")

Runs = Mapping[str, Mapping[str, Trajectory]]
"""Test episodes, by method and task."""


def evidence(context: Context, methods: Sequence[Method], panels: Mapping[str, Chosen]) -> Evidence:
    """All that the run has, of these methods on these test panels."""
    runs = {m.name: {t.task_id: t for t in _tested(context, m)} for m in methods}
    asked = [m for m in methods if m.is_tested]
    trained = [m for m in methods if m.train is not None]
    rows = {m.name: _compared(context, m) for m in asked if m.compared is not None}
    return Evidence(
        trainings=list(_trainings(context, trained)),
        contests=[c for name, part in panels.items() for c in _contests(name, part, asked, runs)],
        examples=[
            example
            for name, part in panels.items()
            for method in asked
            for example in _examples(context, name, part, method, runs)
        ],
        rows=_shown(context, rows),
        failures=[*_of_rows(context, rows), *_of_runs(context, asked)],
        pair_accuracy=_pair_accuracy(context),
        causes=_causes(context, methods),
    )


def _tested(context: Context, method: Method) -> list[Trajectory]:
    return context.trajectories(f"evaluate_{method.name}")


def _trainings(context: Context, trained: Sequence[Method]) -> Iterator[Training]:
    for method in trained:
        manifest = context.manifest(method.name)
        if manifest is not None:
            steps = logged_steps(context.folder(method.name))
            yield Training(method.name, manifest["metrics"], steps)


def _contests(panel: str, part: Chosen, asked: Sequence[Method], runs: Runs) -> Iterator[Contested]:
    returns = {name: _returns(of, part) for name, of in runs.items()}
    for method in asked:
        for other in runs:
            if other != method.name:
                found = contest(returns[method.name], returns[other])
                yield Contested(
                    panel=panel,
                    method=method.name,
                    other=other,
                    num_won=found.num_won,
                    num_lost=found.num_lost,
                    num_even=found.num_even,
                )


def _returns(runs: Mapping[str, Trajectory], part: Chosen) -> Any:
    return returns_by_task([t for t in runs.values() if t.task_id in part.openings], part.task_ids)


def _examples(
    context: Context, panel: str, part: Chosen, method: Method, runs: Runs
) -> Iterator[Example]:
    """The task that was won by most, and the one that was lost by most, against the strong model;
    ties to the first of the panel."""
    strong = sft.STRONG.name
    if strong not in runs:
        return
    after, before = _returns(runs[method.name], part), _returns(runs[strong], part)
    gap, sides = after - before, compared(after, before)
    for outcome, side in (("won", 1), ("lost", -1)):
        if not (sides == side).any():
            continue
        task_id = part.task_ids[int((side * gap).argmax())]
        pair = [runs[name].get(task_id) for name in (strong, method.name)]
        if pair[0] is not None and pair[1] is not None:
            yield _example(context, outcome, panel, method.name, pair[0], pair[1])


def _example(
    context: Context,
    outcome: Any,
    panel: str,
    method: str,
    before: Trajectory,
    after: Trajectory,
) -> Example:
    num_shared = _num_shared(before.steps, after.steps)
    return Example(
        outcome=outcome,
        panel=panel,
        task_id=after.task_id,
        statement=statement(after, context.config.prompt.instruction),
        num_shared=num_shared,
        before=_played(sft.STRONG.name, before, num_shared),
        after=_played(method, after, num_shared),
    )


def statement(run: Trajectory, instruction: str) -> str:
    """The beginning of the task as the player reads it, on one line."""
    content = run.prompt[-1].content.removeprefix(instruction) if run.prompt else ""
    return shorten(content, _STATEMENT_COLUMNS)


def _num_shared(one: Sequence[Step], other: Sequence[Step]) -> int:
    count = 0
    for a, b in zip(one, other, strict=False):
        if (a.action, a.observation) != (b.action, b.observation):
            break
        count += 1
    return count


def _played(method: str, run: Trajectory, num_shared: int) -> Played:
    shown = run.steps[num_shared : num_shared + _MOST_STEPS]
    return Played(
        method=method,
        total_return=run.total_return,
        status=run.status,
        num_steps=len(run.steps),
        steps=[
            (shorten(s.action, _ACTION_COLUMNS), shorten(s.observation, _ANSWER_COLUMNS))
            for s in shown
        ],
        num_more=len(run.steps) - num_shared - len(shown),
    )


def shown_of(method: Method, config: Config) -> tuple[str, ...]:
    """The stages that are read to show what a method learns from."""
    if not method.is_tested:
        return ()
    both = (learned for learned in (method.compared, method.imitated) if learned is not None)
    named = (source for learned in both for source in _named(method, config, learned).values())
    return tuple(stage for source in named for stage in source.stages)


def _named(method: Method, config: Config, learned: Callable[..., Any]) -> dict[str, Input]:
    """The inputs of a method that the function names."""
    asked = inspect.signature(learned).parameters
    return {name: one for name, one in inputs_for(method, config).items() if name in asked}


def _learned(context: Context, method: Method, learned: Any) -> Any:
    """What a method makes of its needs; of these no more is opened than it names."""
    named = _named(method, context.config, learned)
    return learned(
        **{argument: source.open(context) for argument, source in named.items()},
        section=context.config.settings(method),
        seed=context.seed(method.name),
        success_threshold=context.config.evaluate.success_threshold,
    )


def _compared(context: Context, method: Method) -> Sequence[PreferenceRow]:
    rows: Sequence[PreferenceRow] = _learned(context, method, method.compared)
    return rows


def _shown(context: Context, rows: Mapping[str, Sequence[PreferenceRow]]) -> ShownRows | None:
    """Some rows of the first method that has any, drawn with its seed, in their order."""
    for method, found in rows.items():
        if found:
            draw = random.Random(context.seed(method))
            drawn = sorted(draw.sample(range(len(found)), min(NUM_ROWS, len(found))))
            return ShownRows(method, len(found), [_row(found[i]) for i in drawn])
    return None


def _row(row: PreferenceRow) -> ShownRow:
    return ShownRow(
        task_id=row.task_id,
        node=None if row.divergence == NO_NODE else row.divergence,
        depth=row.begin,
        gap=row.gap,
        chosen_return=row.chosen_return,
        rejected_return=row.rejected_return,
        num_chosen=row.num_chosen,
        num_rejected=row.num_rejected,
        prompt=[*((m.role, m.content) for m in row.chosen.prompt), *_said(row.history)],
        chosen=_said(row.turns(row.chosen))[:-1],
        rejected=_said(row.turns(row.rejected))[:-1],
    )


def _said(steps: Sequence[Step]) -> list[tuple[str, str]]:
    return [
        said
        for s in steps
        for said in (("agent", s.response or s.action), ("environment", s.observation))
    ]


def _of_rows(
    context: Context, rows: Mapping[str, Sequence[PreferenceRow]]
) -> Iterator[FailedShare]:
    least = context.config.evaluate.success_threshold
    for method, found in rows.items():
        failed = [
            [not at_least(run.total_return, least) for run in (row.chosen, row.rejected)]
            for row in found
        ]
        yield FailedShare(
            method=method,
            kind="rows",
            num_all=len(found),
            num_failed=sum(map(any, failed)),
            num_both_failed=sum(map(all, failed)),
        )


def _of_runs(context: Context, asked: Sequence[Method]) -> Iterator[FailedShare]:
    least = context.config.evaluate.success_threshold
    for method in asked:
        if method.imitated is None:
            continue
        runs = _learned(context, method, method.imitated)
        failed = [one for one in runs if not at_least(one.run.total_return, least)]
        yield FailedShare(
            method=method.name,
            kind="runs",
            num_all=len(runs),
            num_failed=len(failed),
            num_steps=sum(one.num_learned for one in runs),
            num_failed_steps=sum(one.num_learned for one in failed),
        )


def _causes(context: Context, methods: Sequence[Method]) -> Causes | None:
    """As the stage `continuations` measured, where one of the methods needed it."""
    if not any("continuations" in m.needs.values() for m in methods):
        return None
    file = context.folder("continuations") / FIGURES_FILE
    found = read_json(file)["all"]
    shares = ("confirmed_share", "reversed_share", "undecided_share", "by_chance_share")
    return Causes(num_contrasts=found["num_contrasts"], **{name: found[name] for name in shares})


def _pair_accuracy(context: Context) -> list[PairAccuracy]:
    """As it was measured last; none where it was not."""
    file = context.run_dir / ASSUMPTION_FILE
    if not file.is_file():
        return []
    record = read_json(file)
    try:
        return list(_accuracies(record))
    except (KeyError, TypeError, ValueError) as error:
        raise RunDirectoryError(
            f"{file}: not the figures of `w2stree analyse assumption` ({error!r}); delete it, or "
            "ask for them again"
        ) from None


def _accuracies(record: Mapping[str, Any]) -> Iterator[PairAccuracy]:
    for completion in get_args(Completion):
        found = record[f"{completion}_dense"]["all"]
        if not found["num_rows"]:
            continue
        before, after = ((found[when]["mean"], *found[when]["interval"]) for when in _WHEN)
        yield PairAccuracy(
            before=record["before"],
            after=record["after"],
            kind=completion,
            num_rows=found["num_rows"],
            num_tasks=found["num_tasks"],
            accuracy_before=before,
            accuracy_after=after,
        )
