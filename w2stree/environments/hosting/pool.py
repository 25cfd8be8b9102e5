"""Many environments of one kind side by side, a process each."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable

from w2stree.environments.hosting.limits import Limits
from w2stree.environments.hosting.process import EnvironmentProcess
from w2stree.environments.protocol import Environment
from w2stree.errors import EnvironmentFailure, InvalidInput


class EnvironmentPool:
    """`size` processes of one environment, started when first used and closed together.

    `limits` hold for each process; see `EnvironmentProcess`.
    """

    def __init__(
        self,
        factory: Callable[[], Environment],
        size: int,
        limits: Limits = Limits(),
    ) -> None:
        if size < 1:
            raise InvalidInput(f"a pool of {size} environments; give at least 1")
        self._factory, self._limits = factory, limits
        self._processes: list[EnvironmentProcess | None] = [None] * size

    def __len__(self) -> int:
        return len(self._processes)

    def __getitem__(self, slot: int) -> EnvironmentProcess:
        process = self._processes[slot]
        if process is None:
            process = EnvironmentProcess(self._factory, self._limits)
            self._processes[slot] = process
        return process

    def replace(self, slot: int) -> None:
        """Drop a failed process; the next use starts a fresh one."""
        process, self._processes[slot] = self._processes[slot], None
        if process is not None:
            process.close()

    def drop(self, slots: Iterable[int]) -> None:
        """`replace` many: they end side by side."""
        slots = tuple(slots)
        for slot in slots:
            if (process := self._processes[slot]) is not None:
                process.hang_up()
        for slot in slots:
            with contextlib.suppress(EnvironmentFailure):
                self.replace(slot)

    def start(self, size: int) -> None:
        """Start `size` processes at once: their start-up times overlap."""
        for slot in range(min(size, len(self))):
            _ = self[slot]

    def __enter__(self) -> EnvironmentPool:
        return self

    def __exit__(self, *error: object) -> None:
        self.drop(range(len(self)))
