"""Student's t for whole degrees of freedom, by its finite series: exact, and NumPy alone.

Abramowitz and Stegun, Handbook of Mathematical Functions (1964), 26.7.3 and 26.7.4.
"""

from __future__ import annotations

import math


def share_within(t: float, degrees: int) -> float:
    """P(|T| <= t) for `t` of at least 0 and `degrees` of at least 1; O(degrees)."""
    angle = math.atan2(t, math.sqrt(degrees))
    sine, cosine = math.sin(angle), math.cos(angle)
    is_odd = degrees % 2 == 1
    term = cosine if is_odd else 1.0
    total = 0.0
    for k in range(1 if is_odd else 0, degrees - 1, 2):
        total += term
        term *= cosine * cosine * (k + 1) / (k + 2)
    share = 2 / math.pi * (angle + sine * total) if is_odd else sine * total
    return min(1.0, share)


def two_sided(share: float, degrees: int) -> float:
    """The t with P(|T| <= t) = `share`, which lies in [0, 1); to about 1e-12 of itself."""
    low, high = 0.0, 1.0
    while share_within(high, degrees) < share:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        if share_within(middle, degrees) < share:
            low = middle
        else:
            high = middle
    return high
