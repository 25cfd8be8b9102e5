"""Where a cluster's workers sit: one on each machine, or, with models in process, on each GPU."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Seat:
    """A place for one worker on the machine `node` (Ray's id), and what it takes of it."""

    node: str
    number: int
    num_cpus: int
    num_gpus: int
    host: str = ""


def seats_of(
    nodes: Iterable[Mapping[str, Any]], *, num_processes: int, on_gpus: bool
) -> list[Seat]:
    """The seats of the machines that `ray.nodes()` tells of: of those that are alive and have a
    core.

    A worker takes a core for each of its `num_processes` environments, as far as the machine has
    them. `on_gpus`: a machine with GPUs has a seat for each, and its cores are shared among them.
    """
    seats = []
    for node in nodes:
        has = node["Resources"] if node["Alive"] else {}
        num_cpus, num_gpus = int(has.get("CPU", 0)), int(has.get("GPU", 0)) if on_gpus else 0
        num_seats = min(max(num_gpus, 1), num_cpus)
        seats += [
            Seat(
                node["NodeID"],
                number,
                min(num_processes, num_cpus // num_seats),
                min(num_gpus, 1),
                node.get("NodeManagerHostname", ""),
            )
            for number in range(num_seats)
        ]
    return seats
