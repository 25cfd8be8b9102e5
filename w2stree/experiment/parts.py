"""Which tasks each part of an experiment uses; no task is in two, and no two open alike.

train fold, in a seeded order    t t t  d d d  e e e e  . . .     the test panel takes its tasks
                                                                  first, wherever it is of train
test fold, in a seeded order     u u u  . . .                     a second panel

A test task thus stays one, however many tasks are demonstrated and explored.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.errors import InvalidInput
from w2stree.experiment.config.tasks import TasksSection
from w2stree.experiment.demonstrated import Demonstrated
from w2stree.rollouts.task_choice import Chosen, TaskChoice


@dataclass(frozen=True, slots=True)
class Parts:
    """What was chosen for each part; the test panels by name, in the order of the table."""

    demonstrations: Chosen
    explore: Chosen
    test: Mapping[str, Chosen]

    @property
    def all_test(self) -> list[str]:
        """The tasks of all panels."""
        return [task_id for panel in self.test.values() for task_id in panel.task_ids]

    def by_name(self) -> dict[str, Chosen]:
        """All parts, each under what it is called in the configuration."""
        panels = {f"tasks.test.{name}": chosen for name, chosen in self.test.items()}
        return {
            **panels,
            "tasks.demonstrations": self.demonstrations,
            "tasks.explore": self.explore,
        }

    def taken(self) -> dict[str, str]:
        """Each opening with the part that has it."""
        parts = self.by_name().items()
        return {opening: name for name, part in parts for opening in part.openings.values()}

    def num_shared(self) -> dict[str, int]:
        """By part: how many of its tasks open as another task of any part does."""
        parts = self.by_name()
        count = Counter(opening for part in parts.values() for opening in part.openings.values())
        return {
            name: sum(count[opening] > 1 for opening in part.openings.values())
            for name, part in parts.items()
        }

    def to_record(self) -> dict[str, Any]:
        """As JSON-ready values, for `from_record`."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Parts:
        """What `to_record` gave."""
        return cls(
            Chosen(**record["demonstrations"]),
            Chosen(**record["explore"]),
            {name: Chosen(**chosen) for name, chosen in record["test"].items()},
        )


def choose_parts(
    tasks: TasksSection,
    pool: EnvironmentPool,
    demonstrated: Demonstrated | None,
    task_type: Callable[[str], str],
    progress: Callable[[int], None] = lambda num_taken: None,
) -> Parts:
    """The test panels' tasks, then those demonstrated, then those explored; see `TasksSection`.

    A file demonstrates train tasks that it has and that are not tested. Raises `InvalidInput` if
    a fold has too few distinct tasks, or the file too few of them.
    """
    choice = TaskChoice(
        pool, seed=tasks.seed, task_type=task_type, distinct=tasks.distinct, progress=progress
    )
    test = {
        name: choice.take(f"tasks.test.{name}", panel.split, panel.count)
        for name, panel in tasks.test.items()
    }
    if demonstrated is None:
        shown = choice.take("tasks.demonstrations", "train", tasks.demonstrations)
    else:
        shown = _shown(choice, demonstrated, tasks.demonstrations)
    return Parts(shown, choice.take("tasks.explore", "train", tasks.explore), test)


def _shown(choice: TaskChoice, demonstrated: Demonstrated, count: int) -> Chosen:
    name = "tasks.demonstrations"
    found = choice.take_up_to(name, "train", count, among=demonstrated.by_task.keys())
    if len(found.openings) < count:
        raise InvalidInput(
            f"{name}: {count} are asked for, but {demonstrated.summary}; "
            f"{len(found.openings)} of them are distinct train tasks here and not tested on"
        )
    return found
