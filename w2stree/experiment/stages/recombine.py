"""The stage that makes better paths of the weak model's runs, by playing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import get_args

from w2stree.experiment.run_directory import StageWriter
from w2stree.experiment.run_json import read_json, write_json
from w2stree.experiment.stages.context import Context
from w2stree.experiment.stages.play import record
from w2stree.experiment.stages.played_paths import PATHS_FILE, cost, num_by_kind, say_what_failed
from w2stree.rollouts.recombination.paths import Making, Recombined
from w2stree.rollouts.recombination.recombine import (
    NOT_DETERMINISTIC,
    OUT_OF_BUDGET,
)
from w2stree.rollouts.recombination.recombine import (
    recombine as recombined_runs,
)
from w2stree.trajectories.returns import at_least

_FIGURE = {NOT_DETERMINISTIC: "num_not_deterministic", OUT_OF_BUDGET: "num_out_of_budget"}
_REMEDY: dict[str, str | None] = {
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
                actions=settings.actions,
            ),
            total=num_tasks,
            what="recombine tasks",
        )
    )
    say_what_failed(
        "recombine: {} keep their best run as it was",
        [(path.trajectory.task_id, path.problem) for path in found if path.problem],
        len(found),
        _REMEDY,
    )
    # The order that `record` writes them in.
    found.sort(key=lambda path: path.trajectory.task_id)
    record(out, [path.trajectory for path in found])
    write_json(out.folder / PATHS_FILE, [path.to_record() for path in found])
    out.metrics.update(figures(found))


def recombined(context: Context) -> list[Recombined]:
    """What the stage made."""
    records = read_json(context.folder("recombine") / PATHS_FILE)
    paths = context.trajectories("recombine")
    return [Recombined.from_record(*one) for one in zip(records, paths, strict=True)]


def figures(found: Sequence[Recombined]) -> dict[str, float]:
    """How good the paths are beside the runs, how they were made, and what they cost.

    `mean_best_return`: of the tasks' best runs; `mean_best_on_the_way`: had each ended where its
    score was highest; `num_above_best_run` and `num_above_best_on_the_way`: paths that are better.
    The cost: `played_paths.cost`.
    """
    makings = Counter(path.making for path in found)
    num = max(1, len(found))
    return {
        "mean_best_return": sum(path.best_return for path in found) / num,
        "mean_best_on_the_way": sum(path.best_on_the_way for path in found) / num,
        "num_above_best_run": _num_above(found, [path.best_return for path in found]),
        "num_above_best_on_the_way": _num_above(found, [path.best_on_the_way for path in found]),
        **{f"num_{making}": makings[making] for making in get_args(Making)},
        **cost(found, ("runs", "search", "shortening")),
        **num_by_kind(found, _FIGURE),
    }


def _num_above(found: Sequence[Recombined], others: Sequence[float]) -> int:
    pairs = zip(found, others, strict=True)
    return sum(not at_least(other, path.trajectory.total_return) for path, other in pairs)
