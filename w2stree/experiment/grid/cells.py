"""What an experiment is made of: a method trained and tested, an analysis measured, each once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from w2stree.experiment.grid.asked import Asked


@dataclass(frozen=True, slots=True)
class Cell:
    """One method, trained and tested once."""

    world: str
    variant: str
    seed: int
    method: str

    def __str__(self) -> str:
        return f"{self.world} {self.variant} seed {self.seed} {self.method}"

    @property
    def name(self) -> str:
        """Of its result, among those of its world, variant and seed."""
        return self.method


@dataclass(frozen=True, slots=True)
class Measurement:
    """One analysis of a run, once the stages that it reads are there."""

    world: str
    variant: str
    seed: int
    asked: Asked

    def __str__(self) -> str:
        return f"{self.world} {self.variant} seed {self.seed} analysis {self.asked.name}"

    @property
    def name(self) -> str:
        """As a cell's; no method is called so."""
        return f"analysis-{self.asked.name}"


Unit: TypeAlias = Cell | Measurement
