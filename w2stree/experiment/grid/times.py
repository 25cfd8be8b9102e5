"""How long a cell or an analysis takes, by what those before it took: for a budget, and for the
time left."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from w2stree.experiment.grid.cells import Unit
from w2stree.experiment.hashes import MANIFEST


@dataclass(slots=True)
class Times:
    """Seconds of stages, by world and stage, and what comes on top of them a cell."""

    _of_stage: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    _stages: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    """Of a world and method: what leads to it."""
    _seen: set[tuple[str, str, str]] = field(default_factory=set)

    def add(self, unit: Unit, record: Mapping[str, Any]) -> None:
        """A finished cell's record. A result that several cells share counts once."""
        self._stages[unit.world, unit.name] = list(record["stages"])
        for name, stage in record["stages"].items():
            seconds, made = stage.get("seconds"), (unit.world, name, str(stage.get("outputs")))
            if isinstance(seconds, int | float) and made not in self._seen:
                self._seen.add(made)
                self._of_stage[unit.world, name].append(float(seconds))

    def expected(self, unit: Unit, run_dir: Path) -> float | None:
        """Seconds of the stages that the cell's run lacks; None where nothing like it has run
        yet."""
        missing = self.missing(unit, run_dir)
        return None if missing is None else sum(missing.values())

    def missing(self, unit: Unit, run_dir: Path) -> dict[str, float] | None:
        """`expected`, by stage."""
        stages = self._stages.get((unit.world, unit.name)) or next(
            (s for (_, name), s in self._stages.items() if name == unit.name), None
        )
        if stages is None:
            return None
        return {
            name: self._mean(unit.world, name)
            for name in stages
            if not (run_dir / name / MANIFEST).is_file()
        }

    def _mean(self, world: str, stage: str) -> float:
        here = self._of_stage.get((world, stage))
        elsewhere = [
            s for (_, name), all_s in self._of_stage.items() if name == stage for s in all_s
        ]
        return fmean(here or elsewhere or [0.0])
