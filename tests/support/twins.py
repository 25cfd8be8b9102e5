"""A fold whose tasks repeat: 24 numbers, 10 houses; half of the test fold's are of the train fold.

train   number 0 1 … 9 10 11 …      house 0 1 … 9 0 1 …
test    number 0 1 … 9 10 11 …      house 5 6 … 14 5 6 …
"""

from __future__ import annotations

import os
from pathlib import Path

from support.corridor import Corridor

from w2stree.environments.protocol import Info

NUM_TASKS, NUM_HOUSES = 24, 10
FIRST_HOUSE = {"train": 0, "dev": 0, "test": 5}


def house(task_id: str) -> int:
    split, number = task_id.split("/")
    return FIRST_HOUSE[split] + int(number) % NUM_HOUSES


class Twins(Corridor):
    """Ids are `train/3`; the first `log` is where every reset is noted."""

    def __init__(self, log: Path | None = None, breaks: tuple[str, ...] = ()) -> None:
        self._log, self._breaks = log, breaks

    def tasks(self, split: str) -> list[str]:
        return [f"{split}/{number}" for number in range(NUM_TASKS)]

    def reset(self, task_id: str) -> tuple[str, Info]:
        if self._log is not None:
            with self._log.open("a") as log:
                log.write(f"{task_id}\n")
        if task_id in self._breaks:
            os._exit(1)
        _, info = super().reset(task_id)
        return f"Leave house {house(task_id)}.", info
