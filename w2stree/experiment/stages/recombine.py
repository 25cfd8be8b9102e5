"""The stage that makes better paths of the weak model's runs, by playing."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import get_args

from w2stree.errors import ExplorationFailure
from w2stree.experiment.run_directory import StageWriter
from w2stree.experiment.run_json import read_json, write_json
from w2stree.experiment.stages.context import Context
from w2stree.experiment.stages.play import record
from w2stree.rollouts.recombination.paths import Making, Recombined
from w2stree.rollouts.recombination.recombine import (
    NOT_DETERMINISTIC,
    OUT_OF_BUDGET,
)
from w2stree.rollouts.recombination.recombine import (
    recombine as recombined_runs,
)
from w2stree.trajectories.returns import at_least

PATHS = "paths.json"
FILES = ("trajectories.jsonl", PATHS)

_REMEDY = {
    NOT_DETERMINISTIC: "runs of such an environment cannot be combined",
    OUT_OF_BUDGET: "raise recombine.budget_per_task",
}


def recombine(context: Context, out: StageWriter) -> None:
    """A path of every explored task that has a run; `paths.json` says in the same order how each
    came about (`Recombined.to_record`)."""
    runs = context.explored_runs()
    settings = context.config.recombine
    num_tasks = len({run.task_id for run in runs if run.status != "error"})
    found = list(
        context.bar(
            recombined_runs(
                context.pool(),
                runs,
                budget_per_task=settings.budget_per_task,
                combine=settings.combine,
                shorten=settings.shorten,
            ),
            total=num_tasks,
            what="recombine tasks",
        )
    )
    _say_what_failed(found)
    # The order that `record` writes them in.
    found.sort(key=lambda path: path.trajectory.task_id)
    record(out, [path.trajectory for path in found])
    write_json(out.folder / PATHS, [path.to_record() for path in found])
    out.metrics.update(figures(found))


def recombined(context: Context) -> list[Recombined]:
    """What the stage made."""
    records = read_json(context.folder("recombine") / PATHS)
    paths = context.trajectories("recombine")
    return [Recombined.from_record(*one) for one in zip(records, paths, strict=True)]


def figures(found: Sequence[Recombined]) -> dict[str, float]:
    """How good the paths are beside the runs, how they were made, and what they cost.

    `mean_best_return`: of the tasks' best runs; `mean_best_on_the_way`: had each ended where its
    score was highest; `num_above_best_run` and `num_above_best_on_the_way`: paths that are better.
    `num_steps_spent`: environment steps a task, mean and greatest, and the mean by what for.
    """
    spent = [sum(path.num_steps.values()) for path in found]
    by_purpose: Counter[str] = Counter()
    for path in found:
        by_purpose.update(path.num_steps)
    makings = Counter(path.making for path in found)
    problems = Counter(_kind(path.problem) for path in found)
    num = max(1, len(found))
    return {
        "mean_best_return": sum(path.best_return for path in found) / num,
        "mean_best_on_the_way": sum(path.best_on_the_way for path in found) / num,
        "num_above_best_run": _num_above(found, [path.best_return for path in found]),
        "num_above_best_on_the_way": _num_above(found, [path.best_on_the_way for path in found]),
        **{f"num_{making}": makings[making] for making in get_args(Making)},
        "mean_steps_spent": sum(spent) / num,
        "max_steps_spent": max(spent, default=0),
        **{
            f"mean_steps_spent_on_{purpose}": by_purpose[purpose] / num
            for purpose in ("runs", "search", "shortening")
        },
        "num_resets": sum(path.num_resets for path in found),
        "num_not_deterministic": problems[NOT_DETERMINISTIC],
        "num_out_of_budget": problems[OUT_OF_BUDGET],
        "num_environment_errors": problems["error"],
    }


def _num_above(found: Sequence[Recombined], others: Sequence[float]) -> int:
    pairs = zip(found, others, strict=True)
    return sum(not at_least(other, path.trajectory.total_return) for path, other in pairs)


def _kind(problem: str | None) -> str | None:
    return problem if problem is None or problem in _REMEDY else "error"


def _say_what_failed(found: Sequence[Recombined]) -> None:
    """Raises `ExplorationFailure` where no path could be made: best runs are another method's."""
    problems = [(path.trajectory.task_id, path.problem) for path in found if path.problem]
    if not problems:
        return
    words = "\n".join(
        [
            f"recombine: {len(problems)} of {len(found)} tasks keep their best run as it was:",
            *_by_kind(problems),
        ]
    )
    if len(problems) == len(found):
        raise ExplorationFailure(f"{words}\nno path was made: mend the cause first")
    warnings.warn(words, stacklevel=2)


def _by_kind(problems: Sequence[tuple[str, str]]) -> list[str]:
    first: Mapping[str | None, tuple[str, str]] = {
        _kind(problem): (task_id, problem) for task_id, problem in reversed(problems)
    }
    counts = Counter(_kind(problem) for _, problem in problems)
    return [
        f"  {counts[kind]}: {problem} (the first one: {task_id})"
        + (f"; {_REMEDY[kind]}" if kind in _REMEDY else "")
        for kind, (task_id, problem) in first.items()
        if kind is not None
    ]
