"""The shortest chain of dependent work in a UCB decision, as a floor for search.

Node i has two arms, whose scores are mean + width * spread. What is timed: load the arms'
statistics at an address known only now, multiply-add, compare, and load the chosen child,
which is the next address. No branch: nothing to guess, the full latency shows. The tree is
small enough for the first-level cache.
"""

from __future__ import annotations

import time

import numpy as np
from numba import njit

_NODES = 256


def nanoseconds() -> float:
    """Of one decision, best of several runs."""
    rng = np.random.default_rng(6)
    mean = rng.random(2 * _NODES)
    spread = rng.random(2 * _NODES)
    child = rng.integers(0, _NODES, 2 * _NODES).astype(np.int64)
    _walk(mean, spread, child, 0.5, 1_000)
    steps = 1_000_000
    taken = []
    for _ in range(9):
        start = time.process_time_ns()
        _walk(mean, spread, child, 0.5, steps)
        taken.append((time.process_time_ns() - start) / steps)
    return min(taken)


@njit(cache=True)
def _walk(mean, spread, child, width, steps):
    node = 0
    for step in range(steps):
        arm = 2 * node
        left = mean[arm] + width * spread[arm]
        right = mean[arm + 1] + width * spread[arm + 1]
        # Uses the step as well, so that the walk does not end in a short cycle.
        node = (child[arm + np.int64(right > left)] + step) & (_NODES - 1)
    return node
