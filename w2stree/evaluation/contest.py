"""Two methods task by task: how many tasks each did better on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from w2stree.errors import InvalidInput
from w2stree.evaluation.cells import Floats, as_floats
from w2stree.trajectories.returns import is_same


@dataclass(frozen=True, slots=True)
class Contest:
    """Tasks that the one won against the other, lost to it, and did as well on."""

    num_won: int
    num_lost: int
    num_even: int


def contest(one: Floats, other: Floats) -> Contest:
    """Of returns, (num_tasks,), of the same tasks in the same order; equal but for rounding is
    even. Raises `InvalidInput` for unequal shapes and for what is no finite number."""
    sides = compared(one, other)
    return Contest(*(int((sides == side).sum()) for side in (1, -1, 0)))


def compared(one: Floats, other: Floats) -> NDArray[np.int64]:
    """By task: 1 where the one did better, -1 where the other did, 0 where they are even."""
    one, other = as_floats("one", one), as_floats("other", other)
    if one.shape != other.shape:
        raise InvalidInput(f"returns have shapes {one.shape} and {other.shape}; give equal ones")
    sides = [0 if is_same(a, b) else 1 if a > b else -1 for a, b in zip(one, other, strict=True)]
    return np.array(sides, dtype=np.int64)
