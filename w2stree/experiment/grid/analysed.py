"""From analyses' results to tables: a mean over seeds of each number, from the files alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from w2stree.evaluation import SeedMean, seed_mean
from w2stree.experiment.grid.cells import Measurement, Unit
from w2stree.experiment.grid.plan import Plan
from w2stree.experiment.grid.results import Measured, Results
from w2stree.report.grid import AnalysisRow, GridAnalysis
from w2stree.shorten import shorten

_ERROR_COLUMNS = 200

_NOTES = (
    "The figures of an analysis are means over seeds, each counting the same however much it has "
    "to count; intervals are Student's t, for other seeds on the same tasks. There is none over "
    "one seed and where all seeds are alike. A row of a difference is one seed by seed.",
    "Analyses describe: nothing of them is tested, and they carry no claim.",
)


@dataclass(frozen=True, slots=True)
class Analysed:
    """Results by analysis, world, variant and seed; and what has none, with the reason."""

    plan: Plan
    by_place: Mapping[tuple[str, str, str], Mapping[int, Measured]]
    not_run: Mapping[Measurement, str]

    @property
    def num_done(self) -> int:
        return sum(len(seeds) for seeds in self.by_place.values())

    def records(self) -> Iterator[Mapping[str, Any]]:
        """The files' contents."""
        for seeds in self.by_place.values():
            for measured in seeds.values():
                yield measured.record

    def tables(self) -> list[GridAnalysis]:
        """In the order of the experiment's file: an analysis, its worlds, their variants."""
        return [
            self._table(one.name, world, variant)
            for one in self.plan.grid.asked_analyses()
            for world, variant in self.plan.variants
            if self.by_place.get((one.name, world, variant))
        ]

    def notes(self) -> list[str]:
        """How to read the tables."""
        return list(_NOTES) if self.plan.grid.analyses else []

    def not_run_in_words(self) -> list[str]:
        """A sentence for each analysis, world, variant and reason, with its seeds."""
        together: dict[tuple[str, str, str, str], list[int]] = defaultdict(list)
        for one, reason in self.not_run.items():
            together[one.asked.name, one.world, one.variant, reason].append(one.seed)
        lines = []
        for (name, world, variant, reason), seeds in together.items():
            named = f" ({variant})" if len(self.plan.grid.variants) > 1 else ""
            word = "seed" if len(seeds) == 1 else "seeds"
            why = f": {reason}" if reason else ""
            numbers = ", ".join(map(str, seeds))
            lines.append(f"analysis {name} of {world}{named}, {word} {numbers}{why}")
        for name, world, method in self.plan.analyses_left_out():
            lines.append(f"analysis {name} of {world}: not asked, it has no {method}")
        return lines

    def _table(self, name: str, world: str, variant: str) -> GridAnalysis:
        by_seed = self.by_place[name, world, variant]
        seeds = sorted(by_seed)
        numbers = [by_seed[seed].numbers for seed in seeds]
        asked = next(one for one in self.plan.grid.asked_analyses() if one.name == name)
        labels = dict.fromkeys(label for of_one in numbers for label in of_one)
        columns = list(
            dict.fromkeys(c for of_one in numbers for values in of_one.values() for c in values)
        )
        rows = [
            AnalysisRow(label, [_mean(numbers, label, column) for column in columns])
            for label in labels
        ]
        return GridAnalysis(
            world=world,
            variant=variant,
            name=name,
            question=asked.analysis.question,
            seeds=seeds,
            columns=columns,
            counts=asked.analysis.counts,
            rows=[row for row in rows if any(mean is not None for mean in row.means)],
        )


def find_analyses(plan: Plan, results: Results) -> Analysed:
    """What has been measured. A result of another configuration, or of other settings, than today's
    does not count. Raises `RunDirectoryError` for a torn file."""
    by_place: dict[tuple[str, str, str], dict[int, Measured]] = defaultdict(dict)
    not_run: dict[Measurement, str] = {}
    for one in plan.measurements():
        measured = results.read(one)
        if measured is not None and measured.is_of(plan.config(one)):
            by_place[one.asked.name, one.world, one.variant][one.seed] = measured
        else:
            not_run[one] = why_not_run(results, one, is_there=measured is not None)
    return Analysed(plan, by_place, not_run)


def why_not_run(results: Results, unit: Unit, *, is_there: bool) -> str:
    """Why a cell or an analysis has no result that counts; "" where it has not been tried."""
    if (error := results.failure(unit)) is not None:
        return f"failed: {shorten(error, _ERROR_COLUMNS)}"
    return "its result is of another configuration" if is_there else ""


def _mean(
    numbers: list[Mapping[str, Mapping[str, float | None]]], label: str, column: str
) -> SeedMean | None:
    values = (of_one.get(label, {}).get(column) for of_one in numbers)
    found = [value for value in values if value is not None]
    return seed_mean(found) if found else None
