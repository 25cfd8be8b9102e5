"""What an experiment of many runs says: a table, its figures, and every number as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from w2stree.evaluation import CrossedEstimate, GapRecovered, SeedMean
from w2stree.report.charts import Bar, contrast_chart, reward_chart, standing_alone
from w2stree.report.templates import render
from w2stree.report.text import (
    DASH,
    FEWEST_TASKS,
    MINUS,
    Verdict,
    finite,
    interval,
    number,
    signed,
)
from w2stree.shorten import visible
from w2stree.trajectories.replacing import replacing

LEVEL = 0.05
_LABEL = 40  # characters beside a bar


@dataclass(frozen=True, slots=True, kw_only=True)
class GridRow:
    """A method on one panel of a world, over its seeds."""

    method: str
    label: str
    seeds: Sequence[int]
    avg_reward: CrossedEstimate
    sd_over_seeds: float | None
    """Of a seed's mean return; None for one seed."""
    success_rate: CrossedEstimate
    over_strong: CrossedEstimate | None
    """Paired, over the seeds that both have; None without any."""
    pgr: GapRecovered
    """Of the gap between the weak model and the ceiling."""
    pgr_over_strong: GapRecovered
    """Of the gap between the strong model and the ceiling."""
    num_errors: int
    mean_steps: float
    training: Mapping[str, float]
    """Figures of the training, each a mean over seeds; none of a method that trains nothing."""
    seconds: float
    """Of the method's own training and evaluation, a mean over seeds."""


@dataclass(frozen=True, slots=True)
class GridPanel:
    """The rows of a world, a variant and a kind of test tasks."""

    world: str
    variant: str
    panel: str
    num_tasks: int
    rows: Sequence[GridRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class GridContrast:
    """A difference that was asked for: `estimate` is None, with the `reason`, where there is none
    yet."""

    world: str
    variant: str
    """"" where the contrast names its variants."""
    panel: str
    contrast: str
    seeds: Sequence[int]
    estimate: CrossedEstimate | None
    p_holm: float | None
    reason: str = ""

    @property
    def verdict(self) -> Verdict:
        """By the p-value among all that were asked; none over one seed or few tasks, and none where
        all differences are alike, unless there is none: the two did the same everywhere."""
        found = self.estimate
        if found is None or found.num_tasks < FEWEST_TASKS:
            return "too few to tell"
        if found.num_seeds > 1 and found.ci95 == (0.0, 0.0):
            return "no difference shown"
        if self.p_holm is None:
            return "too few to tell"
        if self.p_holm > LEVEL:
            return "no difference shown"
        return "gains" if found.mean > 0 else "loses"


@dataclass(frozen=True, slots=True)
class AnalysisRow:
    """A row of an analysis's table: a mean for each column, None where no seed has anything."""

    label: str
    means: Sequence[SeedMean | None]

    @property
    def is_signed(self) -> bool:
        """Whether it is of a difference."""
        return " - " in self.label


@dataclass(frozen=True, slots=True, kw_only=True)
class GridAnalysis:
    """An analysis of a world and a variant, over its seeds."""

    world: str
    variant: str
    name: str
    question: str
    seeds: Sequence[int]
    columns: Sequence[str]
    counts: Sequence[str]
    """Columns that count: shown without an interval."""
    rows: Sequence[AnalysisRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class GridReport:
    """All that the files are made from."""

    name: str
    question: str
    num_cells: int
    num_done: int
    num_analyses: int = 0
    num_analyses_done: int = 0
    panels: Sequence[GridPanel]
    contrasts: Sequence[GridContrast]
    analyses: Sequence[GridAnalysis] = ()
    not_run: Sequence[str]
    """Sentences: what has no result yet, and why."""
    notes: Sequence[str]
    """What the numbers do not say by themselves."""
    record: Mapping[str, Any]
    """What else the JSON has: the experiment's file, the worlds, seeds, versions."""

    @property
    def has_variants(self) -> bool:
        of_analyses = {analysis.variant for analysis in self.analyses}
        return len({panel.variant for panel in self.panels} | of_analyses) > 1


def write_grid(folder: Path, report: GridReport) -> None:
    """Write table.md, summary.json and the figures; the same report gives the same bytes.

    Raises `MissingDependency` without jinja2 or matplotlib, before anything is written.
    """
    files = {
        "table.md": grid_table(report),
        "summary.json": json.dumps(json_record(report), indent=1, allow_nan=False) + "\n",
        **_figures(report),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        with replacing(folder / name) as file:
            file.write(content)


def grid_table(report: GridReport, *, figures: bool = True) -> str:
    """The tables in Markdown; with `figures` they name the files of `write_grid`."""
    return render(
        "grid.md.j2",
        grid=report,
        heading=heading,
        analysed=analysis_heading,
        shown=seed_mean_text,
        figure=figure_name,
        p=p_text,
        figures=figures,
    )


def json_record(report: GridReport) -> dict[str, Any]:
    """JSON-ready values; what is not a finite number is None."""
    record = dataclasses.asdict(report)
    for contrast, found in zip(record["contrasts"], report.contrasts, strict=True):
        contrast["verdict"] = found.verdict
    return dict(finite({**record.pop("record"), **record}))


def heading(report: GridReport, panel: GridPanel) -> str:
    """ "twc_two, beta_05: test, 400 tasks" """
    variant = f", {panel.variant}" if report.has_variants else ""
    return f"{panel.world}{variant}: {panel.panel}, {panel.num_tasks} tasks"


def analysis_heading(report: GridReport, analysis: GridAnalysis) -> str:
    """ "bias: twc_two, beta_05, 5 seeds" """
    variant = f", {analysis.variant}" if report.has_variants else ""
    num_seeds = len(analysis.seeds)
    seeds = "1 seed" if num_seeds == 1 else f"{num_seeds} seeds"
    return f"{analysis.name}: {analysis.world}{variant}, {seeds}"


def seed_mean_text(analysis: GridAnalysis, row: AnalysisRow, column: int) -> str:
    """ "0.205 [0.193, 0.217]"; with the number of seeds where some have nothing there."""
    found = row.means[column]
    if found is None:
        return DASH
    is_signed = row.is_signed or " - " in analysis.columns[column]
    if analysis.columns[column] in analysis.counts:
        shown = f"{found.mean:,.1f}"
    elif found.ci95 is None:
        shown = signed(found.mean) if is_signed else number(found.mean)
    else:
        mean = signed(found.mean) if is_signed else number(found.mean)
        shown = f"{mean} {interval(found.ci95, is_signed=is_signed)}"
    of_some = found.num_seeds < len(analysis.seeds)
    return f"{shown} ({found.num_seeds} of {len(analysis.seeds)} seeds)" if of_some else shown


def figure_name(report: GridReport, panel: GridPanel) -> str:
    """The file of a panel's chart."""
    variant = f"-{panel.variant}" if report.has_variants else ""
    name = f"rewards-{panel.world}{variant}-{panel.panel}"
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in name) + ".svg"


def p_text(p: float | None) -> str:
    """Three decimals, or that it is below what those show."""
    if p is None:
        return DASH
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _figures(report: GridReport) -> dict[str, str]:
    figures = {}
    sides = (side for contrast in report.contrasts for side in contrast.contrast.split(" - "))
    asked = {side.partition("@")[0].strip() for side in sides}  # without its variant
    for panel in report.panels:
        bars = [
            Bar(_short(row.label), row.avg_reward.mean, row.avg_reward.ci95, row.method in asked)
            for row in panel.rows
        ]
        title = visible(heading(report, panel))
        figures[figure_name(report, panel)] = standing_alone(reward_chart(bars, of=title))
    differences = [
        Bar(
            _contrast_name(report, c),
            c.estimate.mean,
            c.estimate.ci95,
            c.verdict in ("gains", "loses"),
        )
        for c in report.contrasts
        if c.estimate is not None
    ]
    if differences:
        figures["contrasts.svg"] = standing_alone(contrast_chart(differences))
    return figures


def minus(contrast: str) -> str:
    """With the sign that differences are written with elsewhere."""
    return contrast.replace(" - ", f" {MINUS} ")


def _contrast_name(report: GridReport, contrast: GridContrast) -> str:
    """With as much of its place as tells it from the others."""
    named = [minus(contrast.contrast), contrast.world]
    if report.has_variants:
        named.append(contrast.variant)
    if len({c.panel for c in report.contrasts}) > 1:
        named.append(contrast.panel)
    return visible(", ".join(filter(None, named)))


def _short(text: str) -> str:
    shown = visible(text)
    return shown if len(shown) <= _LABEL else f"{shown[: _LABEL - 1]}…"
