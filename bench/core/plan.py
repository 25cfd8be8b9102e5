"""What one run of the benchmarks measures on: its workloads, made once, and its limits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

from bench.core import workloads
from bench.core.workloads import Workload

EXPLORATION = 1.41
NOT_INSTALLED = "not installed: pip install 'w2stree[bench]'"


@dataclass(frozen=True)
class Plan:
    """`quick` shrinks every workload and claims nothing: it shows that all of it works."""

    quick: bool = False
    run_dir: Path | None = None
    """Of a finished run, whose rows are trained on."""
    alfworld: Path | None = None
    """ALFWorld's expert runs (`.jsonl.gz`)."""
    rounds: int = 3
    """Of the three into which the tasks to train on are dealt, how many are run."""

    @cached_property
    def w1(self) -> Workload:
        return workloads.w1(0.1 if self.quick else 1)

    @cached_property
    def w2(self) -> Workload:
        return workloads.w2(0.1 if self.quick else 1)

    @cached_property
    def w3(self) -> Workload:
        return workloads.w3(0.05 if self.quick else 1)

    @cached_property
    def w4(self) -> Workload:
        return workloads.w4(0.05 if self.quick else 1)

    @cached_property
    def star(self) -> Workload:
        return workloads.star()

    @property
    def budget(self) -> float:
        """Seconds a measurement may take."""
        return 0.2 if self.quick else 3.0

    def at_least(self, ratio: float) -> float | None:
        return None if self.quick else ratio

    def at_most(self, value: float) -> float | None:
        return None if self.quick else value


def baseline(name: str) -> Any | None:
    """The module of `bench.core.baselines`, None where the package it needs is missing."""
    try:
        return import_module(f"bench.core.baselines.{name}")
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("bench"):
            raise
        return None
