"""Which tasks are played, none twice: a task is what the agent is shown first, not its number.

    fold, in a seeded order    seed 7     seed 3     seed 9     seed 1
    what it opens with         "a mug"    "a cup"    "a mug"    "a hat"
    two are asked for          taken      taken
    another two by others                            repeat     taken

Games repeat under other seeds: then a test task with a number of its own is a training task. A task
that cannot be reset is passed over too, with a warning: one broken level costs itself.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice, zip_longest
from typing import Any

from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.errors import (
    EnvironmentFailure,
    EnvironmentNotStarted,
    InvalidInput,
    TasksPassedOver,
)
from w2stree.rollouts.side_by_side import in_slots
from w2stree.shorten import visible

_PER_PROCESS = 32
"""Openings worth the start of another process: a small game shows hundreds a second."""

_MOST_FAILURES = 10
"""In a row: then it is no matter of single tasks, and each costs the start of two processes."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Tasks taken from a fold: each one's opening (its hash) by id, in the order taken.

    `num_repeated`: tasks that open as one that was taken before; they were passed over, or taken
    all the same where ids alone tell tasks apart.
    """

    openings: Mapping[str, str] = field(default_factory=dict)
    num_repeated: int = 0

    @property
    def task_ids(self) -> list[str]:
        return list(self.openings)

    @classmethod
    def from_record(cls, record: Any, where: str) -> Chosen:
        """What `asdict` gave, read back from the file `where`; `InvalidInput` for anything else."""
        match record:
            case {"openings": dict(openings), "num_repeated": int(num_repeated)} if all(
                isinstance(opening, str) for opening in openings.values()
            ):
                return cls(openings, num_repeated)
        raise InvalidInput(f"{where}: not a record of chosen tasks; put it back from a copy")


class TaskChoice:
    """Takes tasks from the folds of one environment; no two of all that it takes open alike.

    `seed` orders every fold (`seeded_order`, with the types that `task_type` tells by id). `taken`
    are openings that are taken elsewhere, each with the name of what took it. `progress` is told
    how many tasks are taken, of all calls together. With `distinct` false ids alone tell tasks
    apart: tasks that open alike are taken, and counted.

    Tasks that fail to reset, in a fresh process too, are passed over: `TasksPassedOver` says how
    many, and why the first.

    Cost: a reset of each candidate, in as many processes as there is work for.
    """

    def __init__(
        self,
        pool: EnvironmentPool,
        *,
        seed: int,
        task_type: Callable[[str], str] = lambda task_id: "",
        taken: Mapping[str, str] | None = None,
        distinct: bool = True,
        progress: Callable[[int], None] = lambda num_taken: None,
    ) -> None:
        self._pool, self._seed, self._task_type = pool, seed, task_type
        self._distinct, self._progress = distinct, progress
        self._taken_by = dict(taken or {})  # opening -> what took it
        self._used: set[str] = set()  # ids that were taken or found to be a repeat
        self._openings: dict[str, str] = {}
        self._failures: dict[str, EnvironmentFailure] = {}  # of tasks that have no opening
        self._num_failures_in_a_row = 0
        self._num_taken = 0

    def take(self, name: str, split: str, count: int) -> Chosen:
        """The next `count` distinct tasks of a fold, for what is called `name`.

        Raises `InvalidInput` with the counts if the fold has fewer that nothing else has taken,
        and `EnvironmentFailure` where ten tasks in a row cannot be reset.
        """
        num_there = len(self._fold(split))
        if num_there < count:  # known without a look at any
            raise InvalidInput(
                f"{name}: {count} tasks of {split} are asked for; it has {num_there}"
            )
        found = self.take_up_to(name, split, count)
        if len(found.openings) < count:
            raise InvalidInput(self._too_few(name, split, count, len(found.openings)))
        return found

    def take_up_to(
        self, name: str, split: str, count: int, *, among: Collection[str] | None = None
    ) -> Chosen:
        """As `take`, with what there is: of all tasks, or of those `among` which to choose."""
        candidates = (t for t in self._fold(split) if among is None or t in among)
        fresh = (t for t in candidates if t not in self._used)
        openings: dict[str, str] = {}
        num_repeated, num_failures = 0, len(self._failures)
        while group := list(islice(fresh, count - len(openings))):
            self._look_up(group)
            for task_id in group:
                self._used.add(task_id)
                if task_id in self._failures:
                    continue
                opening = self._openings[task_id]
                is_repeat = opening in self._taken_by
                num_repeated += is_repeat
                if not (is_repeat and self._distinct):
                    openings[task_id] = opening
                    self._taken_by.setdefault(opening, name)
            self._progress(self._num_taken + len(openings))
        self._num_taken += len(openings)
        self._warn_of_failures(name, split, list(self._failures.values())[num_failures:])
        return Chosen(openings, num_repeated)

    def _fold(self, split: str) -> list[str]:
        listed: list[str] = self._pool[0].call("tasks", split)
        return seeded_order(listed, self._seed, self._task_type)

    def _look_up(self, task_ids: Sequence[str]) -> None:
        unknown = [task_id for task_id in task_ids if task_id not in self._openings]
        with closing(look_up_openings(self._pool, unknown)) as found:
            for task_id, opening in zip(unknown, found, strict=True):
                if isinstance(opening, str):
                    self._openings[task_id] = opening
                    self._num_failures_in_a_row = 0
                    continue
                self._failures[task_id] = opening
                self._num_failures_in_a_row += 1
                if self._num_failures_in_a_row == _MOST_FAILURES:
                    raise EnvironmentFailure(
                        f"{_MOST_FAILURES} tasks in a row cannot be reset, the last: {opening}"
                    )

    def _warn_of_failures(
        self, name: str, split: str, failures: Sequence[EnvironmentFailure]
    ) -> None:
        if failures:
            warnings.warn(
                f"{name}: passed over {len(failures)} of the tasks of {split} that were looked at: "
                f"they cannot be reset. The first: {visible(str(failures[0]))}",
                TasksPassedOver,
                stacklevel=3,
            )

    def _too_few(self, name: str, split: str, count: int, num_left: int) -> str:
        fold = self._fold(split)  # all of it was looked at: there is no more
        if not self._distinct:
            return f"{name}: {count} tasks of {split} are asked for; {num_left} are left for {name}"
        failed = sum(task_id in self._failures for task_id in fold)
        openings = {self._openings[task_id] for task_id in fold if task_id in self._openings}
        others = sorted({self._taken_by[opening] for opening in openings} - {name})
        whose = f", the others are taken by {', '.join(others)}" if others else ""
        broken = f" ({failed} cannot be reset)" if failed else ""
        ways = "1 way" if len(openings) == 1 else f"{len(openings)} ways"
        return (
            f"{name}: {count} distinct tasks of {split} are asked for; its {len(fold)} tasks open "
            f"in {ways}{broken}, of which {num_left} are left for {name}{whose}. Tasks that "
            "open alike count as one: ask for fewer, or choose another split or other settings of "
            "the environment; where only what is hidden tells tasks apart, set "
            "tasks.distinct: false"
        )


def look_up_openings(
    pool: EnvironmentPool, task_ids: Sequence[str]
) -> Generator[str | EnvironmentFailure]:
    """The identity of each task in the order given: a hash of the text that its reset shows.

    A process that fails is replaced and asked once more. What fails again is given as it is; raises
    `EnvironmentNotStarted`, for it says nothing about a task.
    """
    num_processes = min(len(pool), 1 + len(task_ids) // _PER_PROCESS)
    pool.start(num_processes)

    def opening(slot: int, task_id: str) -> str | EnvironmentFailure:
        try:
            statement, _ = pool[slot].call("reset", task_id)
        except EnvironmentFailure:
            pool.replace(slot)
            try:
                statement, _ = pool[slot].call("reset", task_id)
            except EnvironmentNotStarted:
                raise
            except EnvironmentFailure as failure:
                pool.replace(slot)
                return failure
        return hash_opening(statement)

    yield from in_slots(num_processes, task_ids, opening)


def hash_opening(statement: str) -> str:
    """64 bits of SHA-256 as hex, of the text exactly as the agent is shown it."""
    return hashlib.sha256(statement.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def seeded_order(
    task_ids: Iterable[str], seed: int, task_type: Callable[[str], str] = lambda task_id: ""
) -> list[str]:
    """The tasks, each once, in an order drawn by the seed; their types take turns.

    An id's place among its type's depends on the seed and the ids alone: in whatever order a fold
    is listed, and whatever is added to it, the others stay in their order.
    """
    drawn = sorted(dict.fromkeys(task_ids), key=lambda task_id: _draw(seed, task_id))
    by_type: dict[str, list[str]] = {}
    for task_id in drawn:
        by_type.setdefault(task_type(task_id), []).append(task_id)
    rounds = zip_longest(*by_type.values())
    return [task_id for turn in rounds for task_id in turn if task_id is not None]


def _draw(seed: int, task_id: str) -> bytes:
    return hashlib.sha256(f"{seed}/{task_id}".encode("utf-8", "surrogatepass")).digest()
