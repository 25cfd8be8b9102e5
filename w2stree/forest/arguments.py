"""Numbers that callers give, of Python or NumPy, as the core takes them: text and booleans are no
numbers, and no number is rounded in silence."""

from __future__ import annotations

import math
from numbers import Real
from operator import index
from typing import SupportsIndex

from w2stree.errors import InvalidInput


def whole(name: str, given: SupportsIndex) -> int:
    """An int. Raises `InvalidInput` naming the argument for anything else, 2.0 among it."""
    if isinstance(given, bool) or not isinstance(given, SupportsIndex):
        raise InvalidInput(f"{name}={given!r}; expected a whole number")
    return index(given)


def int64(name: str, given: SupportsIndex) -> int:
    """A whole number as near as 64 bits come: what it limits or counts is always less."""
    return max(-(2**63), min(whole(name, given), 2**63 - 1))


def finite(name: str, given: float) -> float:
    """A float. Raises `InvalidInput` naming the argument for anything but a finite number."""
    is_number = isinstance(given, Real) and not isinstance(given, bool)
    try:
        number = float(given) if is_number else math.nan
    except OverflowError:  # of an int beyond the floats
        number = math.inf
    if not math.isfinite(number):
        raise InvalidInput(f"{name}={given!r}; expected a finite number")
    return number
