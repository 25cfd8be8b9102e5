"""Environments that die, hang or leak in the middle of an exploration."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import time
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from w2stree.environments.hosting.limits import Limits
from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.errors import IdenticalTrajectories
from w2stree.policies.protocol import Sampling
from w2stree.policies.random import RandomPolicy
from w2stree.rollouts.executor import LocalExecutor
from w2stree.rollouts.exploration import Exploration, plan_episodes
from w2stree.trajectories.files import read_trajectories
from w2stree.trajectories.journal import Journal, read_journal
from w2stree.trajectories.trajectory import Trajectory

FAULTS = ("killed", "hung", "leaking")
_LIMITS = {
    "killed": Limits(),
    "hung": Limits(deadline_s=1.0),
    "leaking": Limits(memory_limit_mb=300),
}
_MOST_LEAKS = 128  # of 4 MiB: above the limit for good, however late that is noticed


class Fragile:
    """A walk of five steps between two doors; some of its steps end in the fault."""

    def __init__(self, fault: str, memory: Path, num_faults: int) -> None:
        self._fault, self._memory, self._num_faults = fault, memory, num_faults
        self._leak: list[bytes] = []

    def tasks(self, split: str) -> list[str]:
        return [f"walk/{i}" for i in range(20)]

    def reset(self, task_id: str) -> Any:
        self._task_id, self._path = task_id, ""
        return f"{task_id}: two doors.", self._info()

    def step(self, action: str) -> Any:
        before = self._info()["score"]
        self._path += action[0]
        # About every other episode meets its fault, by its own path: the same for each run.
        if self._path.endswith("lr") and self._is_due():
            self._suffer()
        is_over = len(self._path) == 5
        reward = self._info()["score"] - before
        return f"room {self._path}", reward, is_over, False, self._info()

    def close(self) -> None:
        self._leak.clear()

    def _info(self) -> Any:
        score = self._path.count("l") / 5
        return {"score": score, "admissible_actions": ["left", "right"]}

    def _is_due(self) -> bool:
        for number in range(self._num_faults):
            with (
                contextlib.suppress(FileExistsError),
                (self._memory / str(number)).open("x", encoding="utf-8") as file,
            ):
                file.write(f"{self._task_id} {self._path}")
                return True
        return False

    def _suffer(self) -> None:
        if self._fault == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        while True:
            time.sleep(0.02)
            if self._fault == "leaking" and len(self._leak) < _MOST_LEAKS:
                self._leak.append(bytearray(b"leak" * (1 << 20)))  # 4 MiB, touched


@dataclass(frozen=True, slots=True)
class DisturbedCounts:
    """`num_missing` of `num_samples` did not finish; `num_counted_as_failures` of the faults have
    no error row of their task and steps; `num_different` finished rows are not the undisturbed
    run's."""

    num_faults: int
    num_errors: int
    num_samples: int
    num_missing: int
    num_counted_as_failures: int
    num_different: int


def disturb(folder: Path, fault: str, *, num_faults: int) -> DisturbedCounts:
    """Explore with `num_faults` faults and without."""
    plans = plan_episodes([f"walk/{i}" for i in range(10)], [Sampling()] * 6, seed=0)
    played = {}
    for name, count in (("disturbed", num_faults), ("undisturbed", 0)):
        memory = folder / f"{name}-faults"
        memory.mkdir(parents=True)
        factory = functools.partial(Fragile, fault, memory, count)
        with (
            Journal(folder / f"{name}.journal") as journal,
            EnvironmentPool(factory, 4, _LIMITS[fault]) as pool,
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore", IdenticalTrajectories)
            exploration = Exploration(
                journal, LocalExecutor(pool, lambda _: RandomPolicy()), max_attempts=100
            )
            exploration.play(plans)
        finished = read_trajectories(journal.path)
        played[name] = {
            (t.task_id, t.origin.sample_index, tuple(s.action for s in t.steps), t.total_return)
            for t in finished
            if t.status != "error"
        }
    recorded = read_journal(folder / "disturbed.journal").trajectories
    notes = (file.read_text("utf-8") for file in (folder / "disturbed-faults").iterdir())
    faults = Counter(note[:-1] for note in notes)  # the step that fails is not in the row
    errors = Counter(_before_the_fault(t) for t in recorded if t.status == "error")
    return DisturbedCounts(
        num_faults=faults.total(),
        num_errors=errors.total(),
        num_samples=len(plans),
        num_missing=len(plans) - len(played["disturbed"]),
        num_counted_as_failures=(faults - errors).total(),
        num_different=len(played["disturbed"] ^ played["undisturbed"]),
    )


def _before_the_fault(trajectory: Trajectory) -> str:
    """As a fault writes it down: the task, a space, a letter for each step."""
    return f"{trajectory.task_id} {''.join(step.action[0] for step in trajectory.steps)}"
