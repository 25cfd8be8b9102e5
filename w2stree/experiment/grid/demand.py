"""What a cell asks of the machine that runs it: whole cores and whole GPUs.

cores   `num_threads` of the experiment, times the processes that `launch` trains in
GPUs    one, or as many as `launch` has processes, where the cluster has any; a method without a
        model asks none
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from w2stree.experiment.config import Config
from w2stree.experiment.grid.cells import Cell, Unit
from w2stree.experiment.methods import METHODS


@dataclass(frozen=True, slots=True)
class Demand:
    """Of one cell."""

    num_cpus: int
    num_gpus: int

    def places(self, resources: Mapping[str, float]) -> int:
        """How many such cells a machine with these resources (Ray's names) has room for."""
        places = int(resources.get("CPU", 0)) // self.num_cpus
        if self.num_gpus:
            places = min(places, int(resources.get("GPU", 0)) // self.num_gpus)
        return places

    def __str__(self) -> str:
        cores = f"{self.num_cpus} core{'s' if self.num_cpus > 1 else ''}"
        gpus = f" and {self.num_gpus} GPU{'s' if self.num_gpus > 1 else ''}"
        return f"{cores}{gpus if self.num_gpus else ''}"


def demand_of(unit: Unit, config: Config, *, on_gpus: bool) -> Demand:
    """Of a cell or an analysis, whose stages train what is not there yet. `on_gpus`: whether the
    cluster has any."""
    num_processes = 1 if config.launch is None else config.launch.num_processes
    needs_one = on_gpus and _has_model(unit)
    return Demand(config.num_threads * num_processes, num_processes if needs_one else 0)


def _has_model(unit: Unit) -> bool:
    if not isinstance(unit, Cell):
        return True
    return any(m.model is not None for m in METHODS if m.name == unit.method)
