"""What returns are measured by: a range, a share of it, and what counts as equal.

    0.3 - 0.2 == 0.09999999999999998        ten rewards of 0.1 == 0.9999999999999999

Returns and thresholds are decimals written as doubles, and often sums of such. Rounding moves
them by a few units in the last place, so comparing them to the bit decides by noise exactly where
people put their thresholds. Two of them count as equal here within 1e-9, and from 1,000 on within
1e-12 of their size. `cpp/include/w2stree/base/returns.hpp` has the same rule.

    return_range   0 ─────────── 60 ──── 100        a share of 0.6 is a threshold of 60
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from numbers import Real

import numpy as np
from numpy.typing import NDArray

from w2stree.errors import InvalidInput

ReturnRange = tuple[float, float]
"""The least and the greatest return a task can give."""

UNIT: ReturnRange = (0.0, 1.0)
"""The range where none is stated."""

LARGEST_SQUARED = 1e150
"""The largest return that statistics with squares take."""

_SHIFT = 64  # by 2 ** 64, of returns that are too large to be summed

STATE_IT = "state the range of all returns, for example return_range=(0, 100)"


def tolerance(value: float) -> float:
    """How far a return may be from `value` and count as equal."""
    return 1e-12 * max(1000.0, abs(value))


def tolerances(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The `tolerance` of each."""
    return 1e-12 * np.maximum(1000.0, np.abs(values))


def mean_return(returns: Sequence[float]) -> float:
    """Of one or more finite returns: their exact sum, rounded once, over their number. Where the
    sum lies beyond the floats, the mean does not."""
    if len(returns) == 1:
        return returns[0]
    try:
        return math.fsum(returns) / len(returns)
    except OverflowError:
        small = [math.ldexp(value, -_SHIFT) for value in returns]
        return math.ldexp(math.fsum(small) / len(small), _SHIFT)


def check_squares(returns: NDArray[np.float64], name: str = "total_return") -> None:
    """Raises `InvalidInput` naming the first whose square, summed over any runs, may overflow."""
    too_large = np.argwhere(~(np.abs(returns) <= LARGEST_SQUARED))
    if len(too_large):
        at = tuple(too_large[0].tolist())
        place = ", ".join(map(str, at))
        raise InvalidInput(
            f"{name}[{place}] is {returns[at]:g}; expected at most {LARGEST_SQUARED:g} either "
            "side of 0: divide all by one number"
        )


def at_least(value: float, threshold: float) -> bool:
    """Whether `value` >= `threshold` or equal but for rounding. NaN is at least nothing."""
    return value >= threshold - tolerance(threshold)


def is_same(value: float, other: float) -> bool:
    """Whether two returns, or two rewards, are equal but for rounding. NaN is the same as none."""
    return abs(value - other) <= tolerance(other)


def checked_range(return_range: ReturnRange | None) -> ReturnRange:
    """The range, `UNIT` for None. Raises `InvalidInput` unless it is two finite numbers in order,
    the lesser first, whose difference is finite too: text and booleans are no numbers, and what
    has no order of its own, as a set, or is used up by reading it is no range."""
    if return_range is None:
        return UNIT
    given = return_range.tolist() if isinstance(return_range, np.ndarray) else return_range
    low = high = math.nan
    is_text = isinstance(given, str | bytes | bytearray)
    if isinstance(given, Sequence) and not is_text and len(given) == 2:
        low, high = map(_as_float, given)
    if not (low < high and math.isfinite(low) and math.isfinite(high - low)):
        raise InvalidInput(
            f"return_range={return_range!r}; expected two finite numbers, the lesser first, "
            "for example (0, 100)"
        )
    return low, high


def _as_float(given: object) -> float:
    """NaN for what is no number."""
    if not isinstance(given, Real) or isinstance(given, bool):
        return math.nan
    try:
        return float(given)
    except OverflowError:  # of an int beyond the floats
        return math.inf


def check_returns(
    returns: Iterable[tuple[str, float]], return_range: ReturnRange | None, *, fix: str = STATE_IT
) -> None:
    """Raises `InvalidInput` naming the first of (where, return) that the range does not hold,
    equal but for rounding included; `fix` ends the message."""
    low, high = checked_range(return_range)
    for where, value in returns:
        if not (at_least(value, low) and at_least(high, value)):
            raise InvalidInput(
                f"{where}: total_return {value:g} is outside [{low:g}, {high:g}]; {fix}"
            )


def usual_threshold(least: float, greatest: float) -> float | None:
    """The return from which on a run is a success where nobody says it: 1, if the least and the
    greatest return lie in [0, 1]; None if they do not, since nobody can tell then."""
    low, high = UNIT
    return high if at_least(least, low) and at_least(high, greatest) else None


def threshold_in(return_range: ReturnRange | None, share: float) -> float:
    """The return that `share` of the way from the range's low end to its high end is."""
    low, high = checked_range(return_range)
    return low + share * (high - low)
