"""Which tasks each part of an experiment uses; no task is in two, and no two open alike.

train fold, in a seeded order    t t t  d d d  e e e e  . . .     the test panel takes its tasks
                                                                  first, wherever it is of train
test fold, in a seeded order     u u u  . . .                     a second panel

A test task thus stays one, however many tasks are demonstrated and explored.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.errors import InvalidInput, TasksPassedOver
from w2stree.experiment.config.tasks import TasksSection
from w2stree.experiment.demonstrated import Demonstrated
from w2stree.experiment.explored import ExploredFile
from w2stree.rollouts.task_choice import Chosen, TaskChoice

Played = Literal["demonstrations", "explore", "evaluated"]


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

    def played(self) -> dict[Played, list[str]]:
        """The tasks that stages play, by what for."""
        return {
            "demonstrations": self.demonstrations.task_ids,
            "explore": self.explore.task_ids,
            "evaluated": self.evaluated,
        }

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
    explored: ExploredFile | None,
    task_type: Callable[[str], str],
    progress: Callable[[int], None] = lambda num_taken: None,
) -> Parts:
    """The panels' tasks, then those demonstrated, then those explored; see `TasksSection`.

    A file demonstrates train tasks that it has and that are not tested. So does a file of explored
    runs give the tasks that are explored, whether they are demonstrated or not; `TasksPassedOver`
    says which of its tasks are not. Raises `InvalidInput` if a fold has too few distinct tasks, or
    a file too few of them.
    """

    def choose(taken: Mapping[str, str]) -> TaskChoice:
        return TaskChoice(
            pool,
            seed=tasks.seed,
            task_type=task_type,
            taken=taken,
            distinct=tasks.distinct,
            progress=progress,
        )

    choice = choose({})
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
    if explored is None:
        assert tasks.explore is not None
        return Parts(shown, choice.take("tasks.explore", "train", tasks.explore), test, dev)
    tested = {f"tasks.test.{name}": part for name, part in test.items()}
    tested |= {} if dev is None else {"tasks.dev": dev}
    taken = {opening: name for name, part in tested.items() for opening in part.openings.values()}
    train = set(pool[0].call("tasks", "train"))
    found = _explored(choose(taken), explored, tasks, tested, train)
    return Parts(shown, found, test, dev)


def _shown(choice: TaskChoice, demonstrated: Demonstrated, count: int) -> Chosen:
    name = "tasks.demonstrations"
    found = choice.take_up_to(name, "train", count, among=demonstrated.by_task.keys())
    if len(found.openings) < count:
        raise InvalidInput(
            f"{name}: {count} are asked for, but {demonstrated.summary}; "
            f"{len(found.openings)} of them are distinct train tasks here and not tested on"
        )
    return found


def _explored(
    choice: TaskChoice,
    explored: ExploredFile,
    tasks: TasksSection,
    tested: Mapping[str, Chosen],
    train: Collection[str],
) -> Chosen:
    """The file's train tasks that are not tested: so many of them, or all."""
    name, count, path = "tasks.explore", tasks.explore, explored.path
    tested_ids = {task_id for part in tested.values() for task_id in part.openings}
    there = explored.by_task.keys() & train
    among = there - tested_ids
    found = choice.take_up_to(name, "train", count or len(there), among=among)
    left_out = {
        "tested on": len(there & tested_ids),
        "not in the environment's train fold": len(explored.by_task) - len(there),
        "opening as another of them or as a test task does": (
            found.num_repeated if tasks.distinct else 0
        ),
    }
    said = ", ".join(f"{number} {why}" for why, number in left_out.items() if number)
    told = f" ({said})" if said else ""
    if len(found.openings) < (count or 1):
        raise InvalidInput(
            f"explore.trajectories: {path} has runs of {len(explored.by_task)} tasks{told}, "
            f"{len(found.openings)} of which can be explored here; "
            + (f"{name} asks for {count}" if count else "give others, or test on fewer")
        )
    if said:
        warnings.warn(
            f"explore.trajectories: of the {len(explored.by_task)} tasks of {path} some are left "
            f"out with all their runs: {said}",
            TasksPassedOver,
            stacklevel=3,
        )
    return found
