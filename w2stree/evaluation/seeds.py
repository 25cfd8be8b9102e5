"""A figure of which every seed has one, whatever it counts: means that hold for other seeds.

Returns of one task under several seeds are `crossed`. Of figures that are not of tasks (a share of
turns, an accuracy over pairs) seeds are all there is to resample, and few: Student's t.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from w2stree.errors import InvalidInput
from w2stree.evaluation.cells import as_floats
from w2stree.evaluation.student import two_sided


@dataclass(frozen=True, slots=True)
class SeedMean:
    """A mean over seeds. `ci95` holds for other seeds with the same tasks; None over one seed, and
    where all are alike: that shows no spread, not that there is none."""

    mean: float
    ci95: tuple[float, float] | None
    num_seeds: int


def seed_mean(values: Sequence[float]) -> SeedMean:
    """The mean of one figure a seed, each counting the same, and its 95 % interval by Student's t
    with one degree of freedom less than seeds; of normal spread: over two or three seeds it is
    wide. Raises `InvalidInput` for no value and one that is no finite number."""
    values = as_floats("values", values).tolist()
    if not values:
        raise InvalidInput("values are []; give finite numbers, at least one")
    mean = fmean(values)
    spread = stdev(values) if len(values) > 1 else 0.0
    if spread <= 1e-12 * max(1.0, abs(mean)):  # rounding is no spread
        return SeedMean(mean, None, len(values))
    half = two_sided(0.95, len(values) - 1) * spread / math.sqrt(len(values))
    return SeedMean(mean, (mean - half, mean + half), len(values))
