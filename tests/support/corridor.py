"""A small deterministic environment: three rooms in a row, the way out is east.

[0] - [1] - [2] - out        score: the share of the way
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from w2stree.environments.protocol import ExpertTurn, Info, Snapshot
from w2stree.errors import EnvironmentFailure

LENGTH = 3
MAX_STEPS = 8


class Corridor:
    """`task-…` starts in room 0; in `hopeless` the process dies at the second step."""

    def tasks(self, split: str) -> list[str]:
        return [f"task-{i}" for i in range(20)]

    def reset(self, task_id: str) -> tuple[str, Info]:
        self._task_id, self._room, self._num_steps = task_id, 0, 0
        return f"{task_id}: leave. You are in room 0.", self._info()

    def step(self, action: str) -> tuple[str, float, bool, bool, Info]:
        before = self._info()["score"]
        self._num_steps += 1
        if self._task_id == "hopeless" and self._num_steps == 2:
            os._exit(1)
        move = {"east": 1, "west": -1}.get(action, 0)
        self._room = max(0, self._room + move)
        info = self._info()
        is_out = self._room == LENGTH
        answer = "You are out." if is_out else f"You are in room {self._room}."
        is_truncated = self._num_steps >= MAX_STEPS
        return answer, info["score"] - before, is_out, is_truncated, info

    def expert(self) -> list[ExpertTurn]:
        return [ExpertTurn("out", "east")] * LENGTH

    def restore(self, snapshot: Snapshot) -> tuple[str, Info]:
        observation, info = self.reset(snapshot.task_id)
        for action, expected in zip(snapshot.actions, snapshot.observations, strict=True):
            observation, *_, info = self.step(action)
            if observation != expected:
                raise EnvironmentFailure(f"{action} answers {observation}, not {expected}")
        return observation, info

    def close(self) -> None:
        pass

    def _info(self) -> Any:
        return {"score": self._room / LENGTH, "admissible_actions": ["east", "wait", "west"]}


class Sleepy(Corridor):
    """Its `task-1` hangs in the first step, which the file `is_asleep` tells of."""

    def __init__(self, is_asleep: Path) -> None:
        self._is_asleep = is_asleep

    def step(self, action: str) -> tuple[str, float, bool, bool, Info]:
        if self._task_id == "task-1":
            self._is_asleep.touch()
            time.sleep(600)
        return super().step(action)
