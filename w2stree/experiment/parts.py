"""Which tasks each part of an experiment uses; no task is in two.

train fold   d d d e e e e . . t t t     an expert demonstrates the first tasks
             e d e e d e d . . t t t     a file demonstrates those that it has (d)
"""

from __future__ import annotations

from dataclasses import dataclass

from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.errors import InvalidInput
from w2stree.experiment.config.experiment import TasksSection
from w2stree.experiment.demonstrated import Demonstrated
from w2stree.rollouts.exploration import choose_tasks


@dataclass(frozen=True, slots=True)
class Parts:
    """Task ids, each part's in the order of its fold."""

    demonstrations: list[str]
    explore: list[str]
    test: list[str]


def choose_parts(
    tasks: TasksSection, pool: EnvironmentPool, demonstrated: Demonstrated | None
) -> Parts:
    """The first train tasks are demonstrated, the next ones explored; see `TasksSection`.

    A file demonstrates the first train tasks that it has and that are not tested; the first ones
    of the rest are explored. Asks one process of the pool. Raises `InvalidInput` if there are too
    few tasks or demonstrations, or a task is in two parts.
    """
    first = choose_tasks(pool, "train", first=0, count=tasks.demonstrations + tasks.explore)
    test = choose_tasks(pool, tasks.test_split, first=tasks.test_offset, count=tasks.test)
    if demonstrated is None:
        shown = first[: tasks.demonstrations]
    else:
        shown = _shown(demonstrated, pool[0].call("tasks", "train"), test, tasks.demonstrations)
    explored = [task for task in first if task not in set(shown)][: tasks.explore]
    parts = Parts(shown, explored, test)
    _refuse_shared(parts, tasks)
    return parts


def _shown(demonstrated: Demonstrated, train: list[str], test: list[str], count: int) -> list[str]:
    kept_back = set(test)
    found = [task for task in train if task in demonstrated.by_task and task not in kept_back]
    if len(found) < count:
        raise InvalidInput(
            f"tasks.demonstrations: {count} are asked for, but {demonstrated.summary}; "
            f"{len(found)} of them are train tasks here and not tested on"
        )
    return found[:count]


def _refuse_shared(parts: Parts, tasks: TasksSection) -> None:
    learned = {*parts.demonstrations, *parts.explore}
    shared = [task for task in parts.test if task in learned]
    if shared:
        raise InvalidInput(
            f"tasks: {len(shared)} of {len(parts.test)} test tasks ({tasks.test_split}) are "
            f"demonstrated or explored too, the first is {shared[0]}: raise tasks.test_offset, or "
            "choose another tasks.test_split"
        )
