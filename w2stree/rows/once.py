"""What is made of a run once, and kept while rows of the run go by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from w2stree.trajectories.trajectory import Trajectory

T = TypeVar("T")

KEPT_RUNS = 1 << 10


class OncePerRun(Generic[T]):
    """`make` of each run, kept for `KEPT_RUNS` runs: then all are forgotten, and made anew."""

    def __init__(self, make: Callable[[Trajectory], T]) -> None:
        self._make = make
        # The run beside it is held, so that its id stays its own.
        self._made: dict[int, tuple[Trajectory, T]] = {}

    def __call__(self, run: Trajectory) -> T:
        known = self._made.get(id(run))
        if known is None:
            if len(self._made) >= KEPT_RUNS:
                self._made.clear()
            known = self._made[id(run)] = (run, self._make(run))
        return known[1]
