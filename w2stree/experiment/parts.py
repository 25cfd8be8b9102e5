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
    dev: Chosen | None = None

    @property
    def evaluated(self) -> list[str]:
        """The tasks that every method plays: of all test panels, and of the dev panel."""
        panels = [*self.test.values(), *([] if self.dev is None else [self.dev])]
        return [task_id for panel in panels for task_id in panel.task_ids]

    def by_name(self) -> dict[str, Chosen]:
        """All parts, each under what it is called in the configuration."""
        panels = {f"tasks.test.{name}": chosen for name, chosen in self.test.items()}
        dev = {} if self.dev is None else {"tasks.dev": self.dev}
        return {
            **panels,
            **dev,
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
    def from_record(cls, record: Any, where: str) -> Parts:
        """What `to_record` gave, read back from the file `where`; `InvalidInput` for anything
        else."""
        match record:
            case {"demonstrations": demonstrations, "explore": explore, "test": dict(test)}:
                return cls(
                    Chosen.from_record(demonstrations, where),
                    Chosen.from_record(explore, where),
                    {name: Chosen.from_record(chosen, where) for name, chosen in test.items()},
                    Chosen.from_record(record["dev"], where) if record.get("dev") else None,
                )
        raise InvalidInput(f"{where}: not a record of chosen tasks; put it back from a copy")


def choose_parts(
    tasks: TasksSection,
    pool: EnvironmentPool,
    demonstrated: Demonstrated | None,
    task_type: Callable[[str], str],
    progress: Callable[[int], None] = lambda num_taken: None,
) -> Parts:
    """The panels' tasks, then those demonstrated, then those explored; see `TasksSection`.

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
    dev = None
    if tasks.dev is not None:
        dev = choice.take("tasks.dev", tasks.dev.split, tasks.dev.count)
    if demonstrated is None:
        shown = choice.take("tasks.demonstrations", "train", tasks.demonstrations)
    else:
        shown = _shown(choice, demonstrated, tasks.demonstrations)
    return Parts(shown, choice.take("tasks.explore", "train", tasks.explore), test, dev)


def _shown(choice: TaskChoice, demonstrated: Demonstrated, count: int) -> Chosen:
    name = "tasks.demonstrations"
    found = choice.take_up_to(name, "train", count, among=demonstrated.by_task.keys())
    if len(found.openings) < count:
        raise InvalidInput(
            f"{name}: {count} are asked for, but {demonstrated.summary}; "
            f"{len(found.openings)} of them are distinct train tasks here and not tested on"
        )
    return found
