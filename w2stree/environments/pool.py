"""Many environments of one kind side by side, a process each."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from w2stree.environment import Environment
from w2stree.environments.process import EnvironmentProcess
from w2stree.errors import EnvironmentFailure


class EnvironmentPool:
    """`size` processes of one environment, started when first used and closed together."""

    def __init__(self, factory: Callable[[], Environment], size: int) -> None:
        self._factory = factory
        self._processes: list[EnvironmentProcess | None] = [None] * size

    def __len__(self) -> int:
        return len(self._processes)

    def __getitem__(self, slot: int) -> EnvironmentProcess:
        process = self._processes[slot]
        if process is None:
            process = self._processes[slot] = EnvironmentProcess(self._factory)
        return process

    def replace(self, slot: int) -> None:
        """Drop a failed process; the next use starts a fresh one."""
        process, self._processes[slot] = self._processes[slot], None
        if process is not None:
            process.close()

    def start(self, size: int) -> None:
        """Start `size` processes at once: their start-up times overlap."""
        for slot in range(min(size, len(self))):
            _ = self[slot]

    def __enter__(self) -> EnvironmentPool:
        return self

    def __exit__(self, *error: object) -> None:
        for slot in range(len(self)):
            with contextlib.suppress(EnvironmentFailure):
                self.replace(slot)
