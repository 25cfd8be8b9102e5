"""Times of several works taken in turn, so that a noisy moment hits all of them alike.

Time is the processor time of this process: on an idle machine that of a clock on the wall, on a
busy one what the wall would have shown had nobody else wanted the core. Works on several
threads need the wall clock.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_MOST_ROUNDS = 40


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of one work over all rounds."""

    best: float
    median: float
    rounds: int

    def ns(self, num_units: int) -> tuple[float, float]:
        """Best and median nanoseconds a unit."""
        return self.best / num_units * 1e9, self.median / num_units * 1e9


def interleaved(
    *works: Callable[..., Any],
    prepare: Callable[[], tuple[Any, ...]] | None = None,
    least: int = 3,
    budget: float = 3.0,
    clock: Callable[[], float] = time.process_time,
) -> list[Timing]:
    """Times each work in turn, at least `least` rounds, then until `budget` seconds are spent.

    `prepare` makes each work's arguments anew before every call, outside the time: texts whose
    hash is not yet known, trees without statistics. Results are freed outside the time too.
    Garbage collection stays on, as it is for everyone, and begins each round with a clean slate;
    a baseline that is better off without it turns it off itself.
    """
    seconds: list[list[float]] = [[] for _ in works]
    end = time.perf_counter() + budget
    while len(seconds[0]) < least or (time.perf_counter() < end and len(seconds[0]) < _MOST_ROUNDS):
        gc.collect()
        for work, taken in zip(works, seconds, strict=True):
            arguments = prepare() if prepare else ()
            start = clock()
            result = work(*arguments)
            taken.append(clock() - start)
            del result, arguments
    return [Timing(min(taken), statistics.median(taken), len(taken)) for taken in seconds]


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds that one call took."""

    clock: float
    processor: float  # of all threads together
    busier: float  # of the caller's thread, or of the others together where that is more: with two
    # threads what the clock shows where neither has to wait for a core


def spent(work: Callable[[], object]) -> Spent:
    clock, processor, own = time.perf_counter(), time.process_time(), time.thread_time()
    result = work()
    own = time.thread_time() - own
    processor = time.process_time() - processor
    clock = time.perf_counter() - clock
    del result
    return Spent(clock, processor, max(own, processor - own))
