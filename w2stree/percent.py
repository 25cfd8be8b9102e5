"""Shares as percent, for a person to read: what is not all never reads as all, nor some as none.

599 of 600   99.8%      600 of 600  100.0%      with no decimals    >99%      100%
  1 of 600    0.2%        0 of 600    0.0%                           <1%        0%
"""

from __future__ import annotations

_NOTHING = 1e-12  # percent: what sums of floats leave of a share that is 0 or 1


def percent(share: float, decimals: int = 1) -> str:
    """The share in percent, rounded to so many `decimals`. One that is neither 0 nor 1 and would
    read as if it were is said to lie above the least number shown, or below the greatest."""
    value = 100 * share
    shown = f"{round(value, decimals) + 0.0:.{decimals}f}"
    least = 10.0**-decimals
    if float(shown) == 0 and value > _NOTHING:
        return f"<{least:.{decimals}f}%"
    if float(shown) == 100 and value < 100 - _NOTHING:
        return f">{100 - least:.{decimals}f}%"
    return f"{shown}%"
