"""What an analysis is, to the command line and to experiments of many runs.

a finished run ──measure──> figures (JSON) ──table──> text
                               └──numbers──> rows × columns, of each seed; then over seeds
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from w2stree.experiment.section import Section

Figures: TypeAlias = Mapping[str, Any]
"""JSON."""

Numbers: TypeAlias = Mapping[str, Mapping[str, float | None]]
"""By row and column. Every run has the same rows and columns; None where it has nothing to count
there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """Something that is measured on a finished run, whatever it was run for."""

    name: str

    question: str
    """What it asks, in a sentence."""

    settings: type[Section]
    """What an experiment's file may set of it; every key is an argument of `measure`."""

    stages: Callable[[Any], tuple[str, ...]]
    """`stages(settings)`: what must have finished in the run."""

    reads: tuple[str, ...] = ()
    """Keys of the run's configuration that `measure` reads, beside what the stages read."""

    measure: Callable[..., dict[str, Any]]
    """`measure(run_dir, **settings)` returns the figures."""

    table: Callable[[Figures], str]
    """The figures of one run in words."""

    numbers: Callable[[Figures], Numbers]
    """The figures that are worth a mean over seeds."""

    counts: tuple[str, ...] = ()
    """Columns that count: shown as a mean, without an interval."""
