"""What a benchmark reports: comparisons with a baseline and figures with a limit, as a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bench.core.timing import Timing


@dataclass(frozen=True, slots=True)
class Comparison:
    """Ours and a baseline on the same work, by unit (step, simulation, pair)."""

    job: str
    workload: str
    unit: str
    baseline: str
    ours_ns: float | None = None  # best of the rounds, as is baseline_ns
    ours_median_ns: float | None = None
    baseline_ns: float | None = None
    baseline_median_ns: float | None = None
    at_least: float | None = None  # None: shown, not required
    note: str = ""

    @property
    def ratio(self) -> float | None:
        if self.ours_ns is None or self.baseline_ns is None:
            return None
        return self.baseline_ns / self.ours_ns

    @property
    def is_ok(self) -> bool | None:
        if self.at_least is None or self.ratio is None:
            return None
        return self.ratio >= self.at_least


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value, with a limit where one was agreed."""

    job: str
    workload: str
    name: str
    value: float | None
    unit: str
    at_most: float | None = None
    at_least: float | None = None
    note: str = ""

    @property
    def is_ok(self) -> bool | None:
        if self.value is None or (self.at_most is None and self.at_least is None):
            return None
        return (self.at_most is None or self.value <= self.at_most) and (
            self.at_least is None or self.value >= self.at_least
        )


Row = Comparison | Figure


def compared(
    job: str,
    workload: str,
    unit: str,
    baseline: str,
    ours: Timing,
    other: Timing,
    num_units: int,
    at_least: float | None = None,
    note: str = "",
) -> Comparison:
    """Of two timings of the same `num_units`."""
    ours_best, ours_median = ours.ns(num_units)
    best, median = other.ns(num_units)
    return Comparison(
        job, workload, unit, baseline, ours_best, ours_median, best, median, at_least, note
    )


HEADER = (
    f"{'job':<8} {'workload':<31} {'ours':>21}  {'baseline':<27} {'its':>21} "
    f"{'ratio':>8} {'at least':>8}  ok"
)


def line(row: Row) -> str:
    return _comparison_line(row) if isinstance(row, Comparison) else _figure_line(row)


def as_json(row: Row) -> dict[str, Any]:
    fields = {name: getattr(row, name) for name in row.__dataclass_fields__}
    if isinstance(row, Comparison):
        fields["ratio"] = row.ratio
    return {"kind": type(row).__name__.lower(), **fields, "is_ok": row.is_ok}


def _comparison_line(row: Comparison) -> str:
    ours = _ns(row.ours_ns, row.ours_median_ns, row.unit)
    its = _ns(row.baseline_ns, row.baseline_median_ns, row.unit)
    ratio = "" if row.ratio is None else f"{row.ratio:,.1f}x"
    least = "" if row.at_least is None else f"{row.at_least:g}x"
    text = (
        f"{row.job:<8} {row.workload:<31} {ours:>21}  {row.baseline:<27} {its:>21} "
        f"{ratio:>8} {least:>8}  {_ok(row)}"
    )
    return f"{text}  {row.note}".rstrip()


def _figure_line(row: Figure) -> str:
    value = "" if row.value is None else f"{row.value:,.4g} {row.unit}"
    limit = ""
    if row.at_most is not None:
        limit = f"<= {row.at_most:g}"
    elif row.at_least is not None:
        limit = f">= {row.at_least:g}"
    text = (
        f"{row.job:<8} {row.workload:<31} {value:>21}  {row.name:<49} {'':>8} "
        f"{limit:>8}  {_ok(row)}"
    )
    return f"{text}  {row.note}".rstrip()


def _ns(best: float | None, median: float | None, unit: str) -> str:
    if best is None or median is None:
        return ""
    return f"{best:,.4g} ({median:,.4g}) ns/{unit}"


def _ok(row: Row) -> str:
    return {None: " ", True: "yes", False: "NO"}[row.is_ok]
