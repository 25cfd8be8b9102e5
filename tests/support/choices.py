"""A small world whose every action has a known value: two doors, then up to three coins.

good door   then each of three coins is taken or left        0.4 + 0.2 a coin taken
bad door    likewise                                         0.0 + 0.2 a coin taken
same door   as the good one, by another name
odd door    the episode ends, 0.5
Who takes a coin half of the time gets 0.7 behind a good door and 0.3 behind the bad one.
"""

from __future__ import annotations

from typing import Any

DOORS = {"good door": 0.4, "bad door": 0.0, "same door": 0.4, "odd door": 0.5}
NUM_COINS = 3


class Choices:
    """Tasks `choice/0`, `choice/1`, …: all alike. The last step needs no other than the action."""

    def tasks(self, split: str) -> list[str]:
        return [f"choice/{i}" for i in range(200)]

    def reset(self, task_id: str) -> Any:
        self._task_id, self._actions = task_id, list[str]()
        return f"{task_id}: doors.", self._info()

    def step(self, action: str) -> Any:
        before = self._score()
        self._actions.append(action)
        is_over = self._actions[0] == "odd door" or len(self._actions) > NUM_COINS
        return f"after {action}", self._score() - before, is_over, False, self._info()

    def close(self) -> None:
        pass

    def _score(self) -> float:
        if not self._actions:
            return 0.0
        return DOORS.get(self._actions[0], 0.0) + 0.2 * self._actions[1:].count("take")

    def _info(self) -> Any:
        listed = ["take", "leave"] if self._actions else sorted(DOORS)
        return {"score": min(1.0, self._score()), "admissible_actions": listed}
