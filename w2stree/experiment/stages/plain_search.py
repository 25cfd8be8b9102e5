"""The stage that searches the explored tasks' environment without any run of them."""

from __future__ import annotations

from collections.abc import Sequence

from w2stree.experiment.run_directory import StageWriter
from w2stree.experiment.run_json import write_json
from w2stree.experiment.stages.context import Context
from w2stree.experiment.stages.play import record
from w2stree.experiment.stages.played_paths import PATHS_FILE, cost, num_by_kind, say_what_failed
from w2stree.rollouts.recombination.plain_search import (
    NOT_DETERMINISTIC,
    NOTHING_FOUND,
    Searched,
    search_plainly,
)
from w2stree.trajectories.trajectory import Trajectory

_FIGURE = {NOT_DETERMINISTIC: "num_not_deterministic", NOTHING_FOUND: "num_nothing_found"}
_REMEDY = {
    NOT_DETERMINISTIC: "such an environment cannot be searched",
    NOTHING_FOUND: "raise plain_search.budget_per_task",
}


def plain_search(context: Context, out: StageWriter) -> None:
    """The path that was found in each explored task, and `paths.json`: of all tasks, in the order
    of their ids, what each cost, and why it has no path where it has none
    (`Searched.to_record`)."""
    tasks = context.task_ids("explore")
    settings = context.config.plain_search
    found = list(
        context.bar(
            search_plainly(
                context.pool(),
                tasks,
                budget_per_task=settings.budget_per_task,
                shorten=settings.shorten,
                seed=context.seed("plain_search"),
                instruction=context.config.prompt.instruction,
            ),
            total=len(tasks),
            what="search tasks",
        )
    )
    say_what_failed(
        "plain_search: {} have no path",
        [(path.task_id, path.problem) for path in found if path.problem],
        len(found),
        _REMEDY,
    )
    found.sort(key=lambda path: path.task_id)
    record(out, [path.trajectory for path in found if path.trajectory is not None])
    write_json(out.folder / PATHS_FILE, [path.to_record() for path in found])
    out.metrics.update(figures(found))


def searched(context: Context) -> list[Trajectory]:
    """The paths that the stage found."""
    return context.trajectories("plain_search")


def figures(found: Sequence[Searched]) -> dict[str, float]:
    """What the paths cost (`played_paths.cost`), tasks without one too, and why those have none."""
    return {
        **cost(found, ("search", "shortening")),
        **num_by_kind(found, _FIGURE),
    }
