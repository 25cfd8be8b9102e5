"""Figures that callers give, as floats of 64 bits: a difference of small integers wraps around, and
a square of 1e200 is no number."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from w2stree.errors import InvalidInput
from w2stree.trajectories.returns import check_squares

Floats = NDArray[np.float64]


def as_floats(name: str, given: ArrayLike) -> Floats:
    """Of any shape. Raises `InvalidInput` naming the place for what is no finite number, and for
    one above 1e150 either side of 0."""
    try:
        values = np.asarray(given)
    except ValueError:  # rows of unequal lengths
        values = np.empty(0, object)
    if values.dtype.kind not in "biuf":
        raise InvalidInput(f"{name} are of {type(given).__name__}, not an array of numbers")
    found: Floats = values.astype(np.float64)
    unknown = np.argwhere(~np.isfinite(found))
    if len(unknown):
        at = tuple(unknown[0].tolist())
        raise InvalidInput(f"{name}[{', '.join(map(str, at))}] is {found[at]}; give finite numbers")
    check_squares(found, name)
    return found
