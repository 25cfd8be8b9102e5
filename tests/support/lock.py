"""A small environment for exploration's tests: three dials, some combinations open the lock."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

DIALS = ["turn left", "turn right", "wait"]


class Lock:
    """Three turns. Right first pays 0.25; right, left, right opens it; waiting thrice never ends.

    Tasks are `lock/0`, `lock/1`, …; one in `failing` kills its first `num_failures` episodes,
    counted in the folder `memory` since every episode may have a new process.
    """

    def __init__(
        self, failing: tuple[str, ...] = (), num_failures: int = 0, memory: Path | None = None
    ) -> None:
        self._failing, self._num_failures, self._memory = failing, num_failures, memory

    def tasks(self, split: str) -> list[str]:
        return [f"lock/{i}" for i in range(20)]

    def reset(self, task_id: str) -> Any:
        self._task_id = task_id
        self._actions: list[str] = []
        return f"{task_id} is closed.", self._info()

    def step(self, action: str) -> Any:
        before = self._info()["score"]
        self._actions.append(action)
        if self._task_id in self._failing and len(self._actions) == 2 and self._fails():
            raise RuntimeError("the lock is jammed")
        info = self._info()
        is_over = len(self._actions) == 3
        is_stuck = self._actions == ["wait"] * 3
        reward = info["score"] - before
        return f"click {len(self._actions)}", reward, is_over and not is_stuck, is_stuck, info

    def close(self) -> None:
        pass

    def _info(self) -> Any:
        is_open = self._actions == ["turn right", "turn left", "turn right"]
        is_begun = self._actions[:1] == ["turn right"]
        return {
            "score": 1.0 if is_open else 0.25 if is_begun else 0.0,
            "admissible_actions": DIALS,
        }

    def _fails(self) -> bool:
        assert self._memory is not None
        for number in range(self._num_failures):
            with contextlib.suppress(FileExistsError):
                (self._memory / str(number)).touch(exist_ok=False)
                return True
        return False
