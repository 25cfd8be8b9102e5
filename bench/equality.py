"""Results are asserted equal before anything is timed; a difference names the column and place."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]


class DifferentResultsError(AssertionError):
    """Ours and a baseline disagree: no time of either means anything."""


def assert_equal(ours: Arrays, other: Arrays, what: str) -> None:
    """Every column of `other` equals ours of that name, floats bit for bit."""
    for name, expected in other.items():
        found = ours[name]
        if found.shape != expected.shape:
            raise DifferentResultsError(f"{what}: {name} {found.shape} != {expected.shape}")
        unequal = np.flatnonzero(found != expected)
        if unequal.size:
            i = unequal[0]
            raise DifferentResultsError(
                f"{what}: {name}[{i}] = {found[i]!r} != {expected[i]!r} ({unequal.size} differ)"
            )


def in_order(pairs: Arrays) -> Arrays:
    """Pairs sorted by divergence, chosen, rejected: how sets of pairs are compared."""
    order = np.lexsort((pairs["rejected"], pairs["chosen"], pairs["divergence"]))
    return {name: column[order] for name, column in pairs.items()}
