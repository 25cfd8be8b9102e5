"""Which of two sides does better, from paired differences, looked at a few times.

differences   +.5 0 +.5 +.25 │ +.5 0 0 +.25 │ …        looks (4, 8, 16)
              look at 4      │ look at 8    │ at 16     each: significant, hopeless, or go on

A look is the exact sign-flip test (Fisher 1935): were the sides alike, each difference would have
had the other sign as likely, so of all 2^n ways to set the signs the sum seen may be among the k
greatest in k of 2^n cases. The interval is the same test turned round: the k-th least and the k-th
greatest of the 2^n - 1 means of subsets of the differences (Hartigan, "Using subsample values as
typical values", JASA 1969). Several looks share `alpha` as it is spent linearly in n (Lan and
DeMets 1983; Kim and DeMets 1987), by the union bound, what a look of few differences cannot spend
going to the next; so the intervals of all looks hold together (Jennison and Turnbull 1989).

Why not a confidence sequence (Waudby-Smith and Ramdas 2024)? It needs no symmetry. But it knows of
differences only that they lie in [-1, 1], and must leave room for rare large ones that nobody has
seen: of differences that are +0.25 in four of five cases it finds 20 % in 16, the signs 97 %
(alpha 0.1).

What must hold: differences symmetric about their middle. They are where both sides' returns are
draws of one distribution, independent or in any way exchangeable. A mean of zero made of many small
gains and one rare great loss is not: the test may then call the gains significant, which they are.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from math import floor
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from w2stree.errors import InvalidInput
from w2stree.trajectories.field_types import check_field_types

Finding = Literal["first", "second", "hopeless", "open"]
"""`first`: the first side does better, significantly; `second` likewise. `hopeless`: it is not to
be expected that more differences would tell, or there will be none. `open`: go on."""

MOST = 20
"""Differences at the last look: 2^n sums are made."""

_TIE = 1e-9  # returns are sums of rewards: 0.1 + 0.2 - 0.3 is not 0


@dataclass(frozen=True, slots=True)
class Look:
    """What the first `num_differences` say: their mean, the interval of the middle, the finding."""

    num_differences: int
    mean: float
    low: float
    high: float
    finding: Finding


@dataclass(frozen=True, slots=True)
class PairedLooks:
    """When to look, and how often all looks together may err: at most `alpha` of alike pairs are
    found to differ, half of these in each direction.

    A look is `hopeless` where the differences seen so far, repeated up to the last look, would
    not be significant there (stochastic curtailment under the current trend: Lan, Simon and
    Halperin 1982). Stopping early for that can only make errors rarer.

    Raises `InvalidInput` unless looks ascend from 1 to at most `MOST` and `alpha` is in (0, 1), and
    where no look could ever be significant.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    looks: tuple[int, ...] = (4, 8, 16)
    alpha: float = 0.1

    def __post_init__(self) -> None:
        check_field_types(self)
        looks = self.looks
        is_whole = all(type(n) is int for n in looks)
        if not looks or not is_whole or looks[0] < 1 or list(looks) != sorted(set(looks)):
            raise InvalidInput(f"looks is {list(looks)}; give ascending whole numbers from 1 on")
        if looks[-1] > MOST:
            raise InvalidInput(f"looks ends at {looks[-1]}; at most {MOST} (2^n sums are made)")
        if not 0.0 < self.alpha < 1.0:
            raise InvalidInput(f"alpha is {self.alpha}; give a number between 0 and 1")
        if not any(self.tails()):
            raise InvalidInput(
                f"with looks up to {looks[-1]} nothing is significant at alpha {self.alpha:g}: "
                f"2 of 2^{looks[-1]} signs are more; look later or raise alpha"
            )

    def tails(self) -> tuple[int, ...]:
        """For each look, how many of the 2^n ways to set the signs are significant at each end."""
        spent, tails = 0.0, []
        for n in self.looks:
            left = self.alpha * n / self.looks[-1] - spent
            tails.append(floor(left / 2 * 2**n + _TIE))
            spent += 2 * tails[-1] / 2**n
        return tuple(tails)

    def look(self, differences: Sequence[float]) -> Look:
        """The look at all of `differences`, as many as one of `looks` says; each in [-1, 1].

        Without a bound of its own the interval ends at -1 or 1. Raises `InvalidInput` for another
        number of them, and for one that is outside. O(2^n).
        """
        n = len(differences)
        if n not in self.looks:
            raise InvalidInput(f"{n} differences; looks are at {list(self.looks)}")
        seen = np.asarray(differences, np.float64)
        if not (np.abs(seen) <= 1 + _TIE).all():
            raise InvalidInput(f"differences are {list(differences)}; expected each in [-1, 1]")
        low, high = _interval(seen, self.tails()[self.looks.index(n)])
        return Look(n, float(seen.mean()), low, high, self._finding(seen, low, high))

    def false_alarms(self, differences: Sequence[float]) -> float:
        """How often the looks at these would find either side better, were every sign a coin's:
        exact, over all 2^n ways to set them. At most `alpha`; less where many are 0. O(2^n)."""
        seen = np.asarray(differences, np.float64)
        found = np.zeros(2 ** len(seen), bool)
        for n, tail in zip(self.looks, self.tails(), strict=True):
            if n <= len(seen):
                sums = _signed_sums(seen[:n])
                found |= np.tile(_is_extreme(sums, tail), 2 ** (len(seen) - n))
        return float(found.mean())

    def _finding(self, seen: NDArray[np.float64], low: float, high: float) -> Finding:
        if low > _TIE:
            return "first"
        if high < -_TIE:
            return "second"
        last = self.looks[-1]
        if len(seen) == last:
            return "hopeless"
        low, high = _interval(np.resize(seen, last), self.tails()[-1])
        return "open" if low > _TIE or high < -_TIE else "hopeless"


def _interval(seen: NDArray[np.float64], tail: int) -> tuple[float, float]:
    """The `tail`-th least and greatest mean of a subset; 0: none is so extreme."""
    if tail == 0:
        return -1.0, 1.0
    means = _subset_sums(seen)[1:] / _subset_sizes(len(seen))
    ordered = np.partition(means, (tail - 1, len(means) - tail))
    return float(ordered[tail - 1]), float(ordered[len(means) - tail])


def _subset_sums(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """`[2^n]`: of no value first; the i-th value is in the sums whose index has bit i."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums, sums + value])
    return sums


@functools.cache
def _subset_sizes(num_values: int) -> NDArray[np.float64]:
    """`[2^n - 1]`: of all but the empty one."""
    return _subset_sums(np.ones(num_values))[1:]


def _signed_sums(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """`[2^n]`: as they are first; the i-th has the other sign where the index has bit i."""
    return np.asarray(values.sum() - 2 * _subset_sums(values))


def _is_extreme(sums: NDArray[np.float64], tail: int) -> NDArray[np.bool_]:
    """Which are so great that at most `tail` are as great, or so small."""
    if tail == 0:
        return np.zeros(len(sums), bool)
    ordered = np.sort(sums)
    as_great = len(sums) - np.searchsorted(ordered, sums - _TIE, side="left")
    as_small = np.searchsorted(ordered, sums + _TIE, side="right")
    return np.asarray((as_great <= tail) | (as_small <= tail))
