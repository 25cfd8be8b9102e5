"""Rules on runs: what is missing in them, what their returns are, how they differ."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence

from w2stree.forest.openings import Openings
from w2stree.linting.finding import Finding, Rule, Severity, found
from w2stree.linting.given import Runs, shown
from w2stree.trajectories.returns import ReturnRange, at_least, checked_range, is_same
from w2stree.trajectories.trajectory import Trajectory

_LARGE = 5.0
"""A task whose returns reach it is not scored on [0, 1]."""
_LEAST_SHARE = 0.05
"""Of the scored tasks, on either scale, for scales to be mixed."""


def run_rules(
    runs: Runs, return_range: ReturnRange | None, openings: Openings = "equal"
) -> Iterator[Finding]:
    yield from _errors(runs)
    if runs.has_texts:
        yield from _texts(runs)
        yield from _openings(runs, openings)
        yield from _duplicates(runs)
    yield from _without_action(runs)
    yield from _missing_task_ids(runs)
    yield from _tasks(runs)
    yield from _returns(runs, return_range)


def _errors(runs: Runs) -> list[Finding]:
    hits = runs.where(lambda run: run.status == "error")
    return found(
        Rule.ERROR_RUNS,
        Severity.NOTE if len(hits) < len(runs) else Severity.ERROR,
        hits,
        len(runs),
        runs.unit,
        says="ended in an error of the environment or the model",
        effect="they are in no forest and in no row",
        fix="nothing, unless they are many: then look into their error (origin.error). Where it is "
        "the agent's own failure, rename the record's field error: the run counts by its reward",
    )


def _texts(runs: Runs) -> Iterator[Finding]:
    of = runs.finished
    yield from found(
        Rule.MISSING_PROMPTS,
        Severity.ERROR,
        of.where(lambda run: not run.prompt),
        len(of),
        of.unit,
        says="have no prompt",
        effect="w2stree train refuses them: a row would ask for actions without saying what for",
        fix="write the messages before the first action into prompt; of messages that begin with a "
        "greeting of the agent say how many are the task's (--prompt 2)",
    )
    wordless = of.where(lambda run: not all(step.is_worded for step in run.steps))
    yield from found(
        Rule.MISSING_RESPONSES,
        Severity.ERROR if len(wordless) == len(of) else Severity.WARNING,
        wordless,
        len(of),
        of.unit,
        says="have steps of which only the action is known, not the agent's words",
        effect="they give no row",
        fix="log what the agent said into response, or --render-actions, which makes it "
        "'Action: …'",
    )


def _openings(runs: Runs, chosen: Openings) -> Iterator[Finding]:
    openings: dict[str, dict[Hashable, int]] = defaultdict(dict)
    tasks: dict[Hashable, dict[str, None]] = defaultdict(dict)
    of = runs.finished
    for i, run in enumerate(of.items):
        openings[run.task_id].setdefault(run.prompt, i)
        if run.prompt:
            tasks[run.prompt][run.task_id] = None
    is_apart = chosen == "equal"
    yield from found(
        Rule.DIFFERENT_OPENINGS,
        Severity.ERROR if is_apart else Severity.NOTE,
        [
            f"{shown(task)} ({' and '.join(of.places[i] for i in list(where.values())[:2])})"
            for task, where in openings.items()
            if len(where) > 1
        ],
        len(runs.by_task),
        "tasks",
        says="are asked in different words in different runs",
        effect="no tree is built of them: is it one task?"
        if is_apart
        else "they are one tree, and each side of a row keeps its own prompt",
        fix="give different tasks different ids; if they are one task, take out of the prompt what "
        "is luck (a date, an example that was drawn), or take it as it is (--openings any)",
    )
    alike = [list(ids) for ids in tasks.values() if len(ids) > 1]
    yield from found(
        Rule.SAME_OPENING,
        Severity.NOTE,
        [f"{shown(task)} (as {shown(ids[0])})" for ids in alike for task in ids[1:]],
        len(runs.by_task),
        "tasks",
        says="open as another one does, to the letter",
        effect="their trees are apart, their rows and what is held out are of one task; a split by "
        "id puts one task on both sides",
        fix="give them one id, if they are one task",
    )


def _without_action(runs: Runs) -> list[Finding]:
    of = runs.finished
    hits = [
        f"{place}, step {i + 1}"
        for run, place in zip(of.items, of.places, strict=True)
        for i, step in enumerate(run.steps)
        if not step.action
    ]
    total = sum(len(run.steps) for run in of.items)
    return found(
        Rule.TURNS_WITHOUT_ACTION,
        Severity.WARNING if 2 * len(hits) > total else Severity.NOTE,
        hits,
        total,
        "turns",
        says="have no action that was read",
        effect="they are context, not imitated; where all of a better side are such, no row",
        fix="check the form that the agent answers in, or the pattern that actions are read by",
    )


def _missing_task_ids(runs: Runs) -> list[Finding]:
    of = runs.finished
    return found(
        Rule.MISSING_TASK_IDS,
        Severity.WARNING,
        of.where(lambda run: not run.task_id),
        len(of),
        of.unit,
        says="have an empty task_id",
        effect="all of them are runs of one task",
        fix="give each task an id of its own",
    )


def _duplicates(runs: Runs) -> list[Finding]:
    first: dict[Hashable, str] = {}
    hits = []
    of = runs.finished
    for run, place in zip(of.items, of.places, strict=True):
        key = (run.task_id, run.prompt, run.steps, run.total_return, run.origin)
        if key in first:
            hits.append(f"{place} (as {first[key]})")
        first.setdefault(key, place)
    return found(
        Rule.DUPLICATE_RUNS,
        Severity.WARNING,
        hits,
        len(of),
        of.unit,
        says="are another one to the letter, origin included",
        effect="each counts again: in means, in visits, in pairs",
        fix="leave them out, if one run was logged twice",
    )


def _tasks(runs: Runs) -> Iterator[Finding]:
    num_tasks = len(runs.by_task)

    def severity(hits: Sequence[str]) -> Severity:
        return Severity.WARNING if len(hits) == num_tasks else Severity.NOTE

    single = runs.tasks_where(lambda of: len(of) == 1)
    yield from found(
        Rule.SINGLE_RUN_TASKS,
        severity(single),
        single,
        num_tasks,
        "tasks",
        says="have a single run",
        effect="they give no pair",
        fix="run each task several times under one id",
    )
    equal = runs.tasks_where(
        lambda of: len(of) > 1 and all(is_same(r.total_return, of[0].total_return) for r in of)
    )
    yield from found(
        Rule.EQUAL_RETURNS,
        severity(equal),
        equal,
        num_tasks,
        "tasks",
        says="have runs of one return alone",
        effect="they give no pair",
        fix="explore more runs, or score them more finely",
    )
    yield from found(
        Rule.NO_DIVERSITY,
        Severity.WARNING,
        runs.tasks_where(lambda of: bool(of[0].steps) and _is_one_sequence(of)),
        num_tasks,
        "tasks",
        says="have the same actions in all of their runs",
        effect="they give no pair: it is one run, sampled several times",
        fix="sample with a temperature above 0 and a top_p above 0: many servers decode greedily "
        "at either",
    )
    yield from found(
        Rule.NO_DIVERSITY,
        Severity.WARNING,
        runs.tasks_where(lambda of: not of[0].steps and _is_one_sequence(of)),
        num_tasks,
        "tasks",
        says="have several runs and no step in any of them",
        effect="they give no pair, and nothing to imitate",
        fix="see that what was read holds the agent's turns, and that episodes do not end before "
        "the first one",
    )


def _is_one_sequence(of: Sequence[Trajectory]) -> bool:
    return len(of) > 1 and len({tuple(step.action for step in run.steps) for run in of}) == 1


def _returns(runs: Runs, return_range: ReturnRange | None) -> Iterator[Finding]:
    of = runs.finished
    low, high = checked_range(return_range)
    stated = "the range stated" if return_range else "what is assumed"

    def is_outside(run: Trajectory) -> bool:
        return not (at_least(run.total_return, low) and at_least(high, run.total_return))

    yield from found(
        Rule.RETURNS_OUT_OF_RANGE,
        Severity.ERROR if return_range else Severity.WARNING,
        of.where(is_outside),
        len(of),
        of.unit,
        says=f"have a return outside [{low:g}, {high:g}], {stated}",
        effect="search and thresholds of success refuse them; min_gap is in their own unit",
        fix="state the range of all returns (--return-range, return_range=), or scale them to "
        "[0, 1]",
    )
    yield from mixed_scales(
        {task: [of.items[i].total_return for i in where] for task, where in runs.by_task.items()}
    )


def mixed_scales(returns: dict[str, list[float]]) -> list[Finding]:
    """Of tasks: some scored on [0, 1], others on a scale that goes far beyond."""
    greatest = {task: max(map(abs, values)) for task, values in returns.items()}
    unit = [task for task, value in greatest.items() if 0 < value <= 1]
    large = [task for task, value in greatest.items() if value >= _LARGE]
    num_scored = sum(value > 0 for value in greatest.values())
    if not unit or not large or min(len(unit), len(large)) < _LEAST_SHARE * num_scored:
        return []
    fewer, what = (unit, "in [0, 1]") if len(unit) <= len(large) else (large, f"of {_LARGE:g} up")
    other = "beyond" if fewer is unit else "in [0, 1]"
    return found(
        Rule.MIXED_REWARD_SCALES,
        Severity.ERROR,
        [shown(task) for task in fewer],
        len(returns),
        "tasks",
        says=f"have their greatest return {what}, {max(len(unit), len(large)):,} others {other}: "
        "two scales",
        effect="one min_gap, threshold of success and exploration constant are applied to both",
        fix="scale the returns of each source to [0, 1]",
    )
