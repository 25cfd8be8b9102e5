"""What several training seeds did on the same tasks: intervals that hold for other seeds and other
tasks.

    cells[s, t]     task 0   task 1   task 2  …      a return, or the difference of two methods
    seed 0            1.0      0.0      0.5          trained with the same seed on the same task
    seed 1            1.0      0.5      0.5
      …

A model's luck touches a whole row, a task's hardness a whole column: seeds and tasks are *crossed*.
So a resample draws rows once and columns once, and takes the cells where they meet (Owen, "The
pigeonhole bootstrap", Annals of Applied Statistics 1, 2007). Drawing other tasks for each seed, as
if every seed had tasks of its own, would count one hard task as several and make intervals too
narrow (docs/experiments.md has both, on data whose truth is known).

Few rows spread less than what they are drawn from, and the place where rows and columns meet counts
three times. Both are mended at once: the resamples' interval keeps its shape and takes the width of
Student's t by the two-way analysis of variance that studies of readers and cases use (Hillis,
"A comparison of denominator degrees of freedom methods for multiple observer ROC analysis",
Statistics in Medicine 26, 2007).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from w2stree.errors import InvalidInput
from w2stree.evaluation.cells import Floats, as_floats
from w2stree.evaluation.resamples import chunks
from w2stree.evaluation.student import share_within, two_sided

_NO_GAP = 1e-9
_FAR = 1e12  # shares: a gap that is told from 0 by a rounding error alone


@dataclass(frozen=True, slots=True)
class CrossedEstimate:
    """A mean over seeds and tasks.

    `ci95` holds for other seeds and other tasks; of one seed it holds for other tasks alone, and
    `p` is None. `p` is two-sided, for a mean of 0; None too where all cells are alike: the interval
    then has no width, and resampling shows no luck.
    """

    mean: float
    ci95: tuple[float, float]
    p: float | None
    num_seeds: int
    num_tasks: int


@dataclass(frozen=True, slots=True)
class GapRecovered:
    """PGR with its interval; both None, with the `reason`, where there is no gap to recover."""

    value: float | None
    ci95: tuple[float, float] | None
    reason: str = ""


def crossed_estimate(cells: Floats, *, num_bootstrap: int, seed: int) -> CrossedEstimate:
    """The mean of cells, (num_seeds, num_tasks), its 95 % interval and its p-value.

    For the paired difference of two methods give their difference, cell by cell. The interval is
    of `num_bootstrap` resamples of seeds and tasks, scaled as the module says; the p-value is the
    t-test's on the same variance. Both are of normal luck: with two seeds or three they are wide
    rather than right. Same seed, same resamples.

    Raises `InvalidInput` for no cell, a cell that is no finite number or above 1e150 either side of
    0, and unless `num_bootstrap` is a whole number of 1 to 100,000,000.
    O(num_bootstrap * num_seeds * num_tasks) time, a few MiB.
    """
    cells = _cells("cells", cells)
    mean = float(cells.mean())
    draws = resampled_means(cells[None], num_bootstrap=num_bootstrap, seed=seed)[:, 0]
    std_error, degrees = _std_error(cells)
    is_tested = len(cells) > 1 and std_error > 0
    p = max(0.0, 1 - share_within(abs(mean) / std_error, degrees)) if is_tested else None
    ci95 = _scaled(mean, draws, std_error, degrees)
    return CrossedEstimate(mean, ci95, p, *cells.shape)


def gap_recovered(values: Floats, floor: Floats, top: Floats) -> GapRecovered:
    """PGR = (x - floor) / (top - floor) of mean returns (Burns et al., "Weak-to-strong
    generalization", 2023) with its 95 % interval; each is (num_seeds, num_tasks), on the same
    seeds and tasks.

    The interval is Fieller's (Journal of the Royal Statistical Society B 16, 1954): every share r
    for which `crossed_estimate`'s t-test does not find, at 5 %, that (x - floor) - r (top - floor)
    differs from 0. It needs no ratio of resamples, whose gap may be about 0, and is paired: what
    the three share does not widen it. There is none where that test does not find the gap itself
    above 0: a share of what may be nothing, or less, has no bounds. Raises `InvalidInput` as
    `crossed_estimate` does, and for unequal shapes. O(100 * num_seeds * num_tasks) time.
    """
    values, floor, top = _cells("values", values), _cells("floor", floor), _cells("top", top)
    for cells in (floor, top):
        if cells.shape != values.shape:
            raise InvalidInput(
                f"cells have shapes {values.shape} and {cells.shape}; give equal ones"
            )
    above, gap = values - floor, top - floor
    mean = float(gap.mean())
    if mean <= _NO_GAP or not _differs(gap):
        std_error, degrees = _std_error(gap)
        half = two_sided(0.95, degrees) * std_error
        return GapRecovered(
            None,
            None,
            f"the gap is {mean:.3f} [{mean - half:.3f}, {mean + half:.3f}], which may be none",
        )
    value = float(above.mean()) / mean
    low, high = (_last_share(above, gap, value, side) for side in (-1, 1))
    return GapRecovered(value, (low, high))


def _last_share(above: Floats, gap: Floats, value: float, side: int) -> float:
    """The end of Fieller's interval on that side of the value, to 1e-12 of its distance."""
    near, far = 0.0, 1.0
    # Far away there is the gap alone, and it differs from 0.
    while far < _FAR and not _differs(above - (value + side * far) * gap):
        near, far = far, 2 * far
    for _ in range(40):
        middle = (near + far) / 2
        if _differs(above - (value + side * middle) * gap):
            far = middle
        else:
            near = middle
    return value + side * near


def _differs(cells: Floats) -> bool:
    """Whether the t-test finds, at 5 %, that the mean is not 0."""
    mean, (std_error, degrees) = abs(float(cells.mean())), _std_error(cells)
    if std_error == 0:
        return mean > _NO_GAP
    return share_within(mean / std_error, degrees) > 0.95


def resampled_means(cells: Floats, *, num_bootstrap: int, seed: int) -> Floats:
    """Means of several matrices of cells, (num_matrices, num_seeds, num_tasks), each over the same
    resamples of seeds and tasks: (num_bootstrap, num_matrices). Raises `InvalidInput` as
    `crossed_estimate` does."""
    cells = as_floats("cells", cells)
    if cells.ndim != 3 or not cells.size:
        raise InvalidInput(f"cells have shape {cells.shape}; expected matrices, none empty")
    _, num_seeds, num_tasks = cells.shape
    parts = chunks(num_bootstrap, num_tasks)
    rng = np.random.default_rng(seed)
    means = np.empty((num_bootstrap, len(cells)))
    for part in parts:
        chunk = means[part]
        of_seeds = _drawn(rng, len(chunk), num_seeds)
        of_tasks = _drawn(rng, len(chunk), num_tasks)
        for k, matrix in enumerate(cells):
            chunk[:, k] = ((of_seeds @ matrix) * of_tasks).sum(axis=1)
    means /= num_seeds * num_tasks
    return means


def _drawn(rng: np.random.Generator, num_rows: int, count: int) -> Floats:
    """How often each of `count` is drawn in `count` draws, for each row: (num_rows, count)."""
    drawn = rng.integers(count, size=(num_rows, count)) + count * np.arange(num_rows)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=num_rows * count)
    return np.asarray(counts.reshape(num_rows, count), dtype=np.float64)


def _std_error(cells: Floats) -> tuple[float, int]:
    """Of the mean over seeds and tasks, and its degrees of freedom, rounded down (Satterthwaite's).

    By the mean squares of a two-way analysis of variance without repeats,

        Var(mean) = (seeds + tasks - rest) / (num_seeds * num_tasks)

    where neither seeds nor tasks is below rest: neither adds less than nothing. Without that bound
    for seeds the variance of few is too small by luck often enough that tests at small levels, as
    Holm asks them, err several times too often (docs/experiments.md)."""
    num_seeds, num_tasks = cells.shape
    by_seed, by_task = cells.mean(axis=1), cells.mean(axis=0)
    seeds = num_tasks * float(by_seed.var(ddof=1)) if num_seeds > 1 else 0.0
    tasks = num_seeds * float(by_task.var(ddof=1)) if num_tasks > 1 else 0.0
    if num_seeds > 1 and num_tasks > 1:
        rest = cells - by_seed[:, None] - by_task + cells.mean()
        luck = float((rest**2).sum()) / ((num_seeds - 1) * (num_tasks - 1))
        seeds, tasks = max(seeds, luck), max(tasks - luck, 0.0)
    # Sums of what is exactly alike leave rounding behind: that is no variance.
    tiny = 1e-24 * max(1.0, float((cells**2).sum()))
    seeds, tasks = (0.0 if value <= tiny else value for value in (seeds, tasks))
    if not seeds + tasks:
        return 0.0, 1
    shares = seeds**2 / max(1, num_seeds - 1) + tasks**2 / max(1, num_tasks - 1)
    degrees = max(1, math.floor((seeds + tasks) ** 2 / shares + 1e-9))
    return math.sqrt((seeds + tasks) / (num_seeds * num_tasks)), degrees


def _scaled(mean: float, draws: Floats, std_error: float, degrees: int) -> tuple[float, float]:
    """The middle 95 % of resamples, about the mean, brought to the width of the t-interval."""
    low, high = np.quantile(draws, [0.025, 0.975], method="inverted_cdf")
    if std_error == 0:
        return mean, mean
    half = two_sided(0.95, degrees) * std_error
    if not low < high:  # too few resamples to have a shape
        return mean - half, mean + half
    wider = 2 * half / float(high - low)
    return mean - wider * (mean - float(low)), mean + wider * (float(high) - mean)


def _cells(name: str, given: Floats) -> Floats:
    cells = as_floats(name, given)
    if cells.ndim != 2 or not cells.size:
        raise InvalidInput(f"{name} have shape {cells.shape}; expected seeds by tasks, none empty")
    return cells
