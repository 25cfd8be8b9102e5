"""What a command by buckets costs, as a sum of few terms, fitted to measurements of small inputs.

    sort   = a steps + b fragments                   fragments: a bucket's rows in a section,
    make   = c steps + d fragments + e buckets                  at most sections x buckets
    looks  = h pieces x buckets                      every bucket looks into every piece
    work   = f steps + g fragments + 8 bytes x sections x buckets
    output = i steps + j buckets
    memory = k + l steps of a bucket                 or what sorting takes, if that is more

Buckets are those that have rows, but for the third from below. Seconds are the processor's. What a
cost does not depend on by more than what measurements scatter comes out as nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.scale.measured import Command, Measurement

_WORD = 8


@dataclass(frozen=True, slots=True)
class Shape:
    """How an input is cut up: what the costs depend on. `filled`: of the buckets, those that have
    rows."""

    steps: float
    pieces: float
    sections: float
    fragments: float
    buckets: float
    filled: float

    @property
    def looks(self) -> float:
        return self.pieces * self.filled

    @property
    def index(self) -> float:
        """Bytes that say where fragments begin."""
        return _WORD * self.sections * (self.buckets + 1)


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of a core, bytes. `shuffle`: written to the working folder and read from it. `disk`:
    the most at one time, beside the input. `memory`: the greatest of a process."""

    sort_s: float
    make_s: float
    looks_s: float
    work: float
    output: float
    memory: float

    @property
    def cpu_s(self) -> float:
        return self.sort_s + self.make_s + self.looks_s

    @property
    def shuffle(self) -> float:
        return 2 * self.work

    @property
    def disk(self) -> float:
        return self.work + self.output


@dataclass(frozen=True, slots=True)
class CostModel:
    """Coefficients, each array of its terms in the order above."""

    sort: NDArray[np.float64]
    make: NDArray[np.float64]
    work: NDArray[np.float64]
    output: NDArray[np.float64]
    memory: NDArray[np.float64]
    sort_memory: float
    look_s: float
    sections_per_step: float
    pieces_per_step: float
    rows_of_a_section: float
    steps_per_bucket: float

    @classmethod
    def fitted(
        cls,
        measured: Sequence[Measurement],
        command: Command,
        look_s: float,
        steps_per_bucket: float,
    ) -> CostModel:
        """To these, by least squares of what is missed in per cent; what sorting costs, which is
        the same for each, to those of all commands. `look_s`: seconds of a look into a piece that
        has none of a bucket's rows. `steps_per_bucket`: of as many buckets as the command takes."""
        largest = max(measured, key=lambda one: one.steps)
        of_sorting = _terms(measured)[:, :2]
        index = np.array([shape_of(one).index for one in measured])
        made = [one for one in measured if one.command == command]
        of_making = _terms(made)
        looks = np.array([look_s * shape_of(one).looks for one in made])
        of_bucket = np.stack([np.ones(len(made)), of_making[:, 0] / of_making[:, 2]], axis=1)
        return cls(
            sort=_fit(of_sorting, [one.sort.cpu_s for one in measured]),
            make=_fit(of_making, np.array([one.make.cpu_s for one in made]) - looks),
            work=_fit(of_sorting, np.array([one.work for one in measured]) - index),
            output=_fit(of_making[:, [0, 2]], [one.output for one in made]),
            memory=_fit(of_bucket, [one.make.peak for one in made]),
            sort_memory=float(max(one.sort.peak for one in measured)),
            look_s=look_s,
            sections_per_step=largest.sections / largest.steps,
            pieces_per_step=largest.sort.calls / largest.steps,
            rows_of_a_section=largest.runs / largest.sections,
            steps_per_bucket=steps_per_bucket,
        )

    def shape(self, steps: float, buckets: float | None = None, together: float = 1.0) -> Shape:
        """`buckets` None: as many as the command takes. `together`: rows of a task that stand side
        by side. Of 1 each row of a section may be of another bucket, which is the worst there is.
        Fragments are never more than a section's rows, nor than its buckets."""
        buckets = buckets or max(1.0, round(steps / self.steps_per_bucket))
        sections = max(1.0, steps * self.sections_per_step)
        draws = self.rows_of_a_section / together
        filled = buckets * -np.expm1(draws * np.log1p(-1 / (buckets + 1e-9)))
        return Shape(
            steps,
            max(1.0, steps * self.pieces_per_step),
            sections,
            sections * filled,
            buckets,
            buckets,
        )

    def cost(self, shape: Shape) -> Cost:
        of_work = np.array([shape.steps, shape.fragments])
        of_make = np.array([shape.steps, shape.fragments, shape.filled])
        of_memory = np.array([1.0, shape.steps / shape.filled])
        return Cost(
            sort_s=float(self.sort @ of_work),
            make_s=float(self.make @ of_make),
            looks_s=self.look_s * shape.looks,
            work=float(self.work @ of_work) + shape.index,
            output=float(self.output @ of_make[[0, 2]]),
            memory=max(self.sort_memory, float(self.memory @ of_memory)),
        )


def shape_of(measured: Measurement) -> Shape:
    return Shape(
        measured.steps,
        measured.sort.calls,
        measured.sections,
        measured.fragments,
        measured.num_buckets,
        measured.make.calls,
    )


def _terms(measured: Sequence[Measurement]) -> NDArray[np.float64]:
    shapes = map(shape_of, measured)
    return np.array([[s.steps, s.fragments, s.filled] for s in shapes], np.float64)


def _fit(
    terms: NDArray[np.float64], values: Sequence[float] | NDArray[np.float64]
) -> NDArray[np.float64]:
    """Coefficients that are not negative: a term whose would be is left out."""
    scaled = terms / np.asarray(values, np.float64)[:, None]
    kept = list(range(terms.shape[1]))
    while True:
        found = np.linalg.lstsq(scaled[:, kept], np.ones(len(scaled)), rcond=None)[0]
        if found.min() >= 0:
            break
        kept.pop(int(found.argmin()))
    coefficients = np.zeros(terms.shape[1])
    coefficients[kept] = found
    return coefficients
