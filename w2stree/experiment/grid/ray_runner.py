"""Running cells on the machines that Ray is connected to: a task of Ray for each.

    Work ── cells, as many as there is room for ──> tasks, where Ray has cores and GPUs free
      <── what happens, and what came of it ──────────┘ lost with its worker or machine: once more

The folder of run directories lies on a file system that all machines share; what they hold in
common follows from its locks, as between the processes of one machine.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from w2stree.errors import EngineFailure, InvalidInput, not_imported
from w2stree.experiment.grid import machine
from w2stree.experiment.grid.cells import Unit
from w2stree.experiment.grid.demand import Demand, demand_of
from w2stree.experiment.grid.machine import Place
from w2stree.experiment.grid.plan import Plan
from w2stree.experiment.grid.shared_folder import SharedFolder
from w2stree.experiment.grid.work import Work
from w2stree.experiment.manifest import versions
from w2stree.shorten import shorten

try:
    import ray
    from ray.exceptions import RayError, RayTaskError
    from ray.util.client import ray as client
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
except ModuleNotFoundError as error:
    raise not_imported(error, "ray", "--engine ray") from None

_LOOK_S = 5.0  # between looks at which machines there are
_NOBODY_S = 60.0  # until it is told that nobody has begun a cell, an error that nobody can
_PAUSE_S = 0.5
_REASON = 300  # columns; Ray adds a page of common causes


@dataclass(slots=True)
class _Cell:
    """One that was handed to Ray; `host`: where it has begun."""

    unit: Unit
    demand: Demand
    host: str = ""
    since: float = field(default_factory=time.monotonic)
    is_told: bool = False


class RayRunner:
    """The cluster that this process is connected to.

    `at_most`: so many cells side by side; None: as many as the machines have room for. `prepare`
    is called on a machine before a cell is run there. Whether cells with models ask for GPUs is
    settled here, by whether a machine has one: on a CPU they would compute something else.
    """

    tries = 3

    def __init__(
        self, plan: Plan, *, at_most: int | None = None, prepare: Callable[[], None] = lambda: None
    ) -> None:
        self._plan, self._at_most, self._prepare = plan, at_most, prepare
        self._machines = _machines()
        self._on_gpus = any(has.get("GPU", 0) >= 1 for has in self._machines)
        self._cells: dict[Any, _Cell] = {}  # by what they tell
        self._looked = self._useful = time.monotonic()

    def room_for(self, unit: Unit) -> int:
        """By all of what the machines have, whoever uses it."""
        return max(1, self._places(unit))

    def run(self, work: Work) -> None:
        """Raises `EngineFailure` where no machine has room for a cell, `InvalidInput` from outside
        the cluster and of a machine with other versions, and `RunDirectoryError` of one that does
        not share the runs."""
        _refuse_the_client()
        try:
            place = self._shared_place(work)
            while work.has_more or self._cells:
                self._look()
                self._hand_out(work, place)
                self._listen(work)
        except RayError as error:
            raise EngineFailure(
                f"Ray: {_reason(error)}; what is finished stays, the same command goes on"
            ) from None
        finally:
            for told in self._cells:
                ray.cancel(told, force=True)

    def _shared_place(self, work: Work) -> Place:
        """Once every machine that cells may run on has been seen to share the runs, and to have the
        same versions."""
        shared = SharedFolder.held_here(work.runs)
        num_threads = self._plan.grid.num_threads
        place = Place(Path.cwd(), shared, dict(versions()), num_threads, self._prepare)
        look = ray.remote(num_cpus=0, max_retries=0)(machine.look)
        looks = [
            look.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False))
            for node in _nodes()
        ]
        for seen in [one.remote(place) for one in looks]:
            with suppress(RayError):  # lost meanwhile; each cell asks again
                _answer(seen)
        return place

    def _look(self) -> None:
        if time.monotonic() - self._looked > _LOOK_S:
            self._looked, self._machines = time.monotonic(), _machines()

    def _hand_out(self, work: Work, place: Place) -> None:
        # What is lost is this process's to run again, not Ray's.
        run = ray.remote(num_returns="streaming", max_retries=0)(machine.run)
        while (unit := work.take(lambda one: len(self._cells) < self._places(one))) is not None:
            demand = self._demand(unit)
            task = run.options(
                num_cpus=demand.num_cpus, num_gpus=demand.num_gpus, scheduling_strategy="SPREAD"
            )
            log = f"{self._plan.run_name(unit)}.{unit.name}"
            self._cells[task.remote(place, work.request(unit), log)] = _Cell(unit, demand)

    def _listen(self, work: Work) -> None:
        """To what cells tell, for a while."""
        if not self._cells:
            self._refuse_to_wait_for_nobody(work)
            time.sleep(_PAUSE_S)
            return
        self._useful = time.monotonic()
        ready, _ = ray.wait(list(self._cells), num_returns=1, timeout=_LOOK_S)
        for told in ready:
            self._hear(work, told)
        self._tell_who_waits(work)

    def _hear(self, work: Work, told: Any) -> None:
        cell = self._cells[told]
        try:
            event = _answer(next(told))
        except RayError as error:
            event = {"lost": _reason(error)}
        except OSError as error:  # a full disk, say: one cell after the other would fail there
            raise EngineFailure(
                f"{cell.host}: {error}; mend that machine, or take it out of the cluster, and run "
                "the same command again to go on"
            ) from None
        if "host" in event:
            cell.host = event["host"]
            return
        if event.keys() & {"record", "error", "lost"}:
            del self._cells[told]
        work.hear(cell.unit, _placed(event, cell.host))

    def _tell_who_waits(self, work: Work) -> None:
        for cell in self._cells.values():
            has_waited = time.monotonic() - cell.since > _NOBODY_S
            if has_waited and not cell.host and not cell.is_told:
                cell.is_told = True
                words = f"not begun after {_NOBODY_S:g} s: no machine has {cell.demand} free"
                work.hear(cell.unit, {"warning": f"{words} (`ray status` shows it); still waiting"})

    def _refuse_to_wait_for_nobody(self, work: Work) -> None:
        """Raises where no machine has had room for what is left, and nothing runs, for a while."""
        if work.has_more and time.monotonic() - self._useful > _NOBODY_S:
            unit = work.pending[0]
            raise EngineFailure(
                f"{unit} asks {self._demand(unit)} of one machine, and none of the cluster has "
                f"them ({_in_words(self._machines)}); see `ray status`, and start machines with "
                "them, or ask less (num_threads, launch); the same command goes on"
            )

    def _places(self, unit: Unit) -> int:
        demand = self._demand(unit)
        room = sum(demand.places(has) for has in self._machines)
        return room if self._at_most is None else min(room, self._at_most)

    def _demand(self, unit: Unit) -> Demand:
        return demand_of(unit, self._plan.config(unit), on_gpus=self._on_gpus)


def _nodes() -> list[str]:
    """Ray's ids of machines that have cores to give."""
    return [n["NodeID"] for n in ray.nodes() if n["Alive"] and n["Resources"].get("CPU", 0) >= 1]


def _machines() -> list[Mapping[str, float]]:
    """What each machine that is there has to give."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _answer(reference: Any) -> Any:
    """Raises what the call raised."""
    try:
        return ray.get(reference)
    except RayTaskError as error:
        cause = error.cause
        raise (cause if isinstance(cause, Exception) else error) from None


def _placed(event: dict[str, Any], host: str) -> dict[str, Any]:
    """With the machine, where it is told who does something or what went wrong."""
    match event:
        case {"stage": stage, "what": str(what)} if what.startswith("running"):
            return {"stage": stage, "what": f"{what} on {host}"}
        case {"error": error}:
            return {"error": f"{host}: {error}"}
        case {"lost": why}:
            return {"lost": f"{host}: {why}" if host else why}
    return event


def _reason(error: RayError) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return shorten(": ".join(dict.fromkeys([*lines[:1], *lines[-1:]])), _REASON) or "unknown"


def _in_words(machines: Sequence[Mapping[str, float]]) -> str:
    """machines: 2 with 8 CPU, 1 GPU; 1 with 4 CPU, 0 GPU"""
    counts = Counter((int(has.get("CPU", 0)), int(has.get("GPU", 0))) for has in machines)
    kinds = [f"{n} with {cpus} CPU, {gpus} GPU" for (cpus, gpus), n in counts.most_common()]
    return f"machines: {'; '.join(kinds) or 'none'}"


def _refuse_the_client() -> None:
    if client.is_connected():
        raise InvalidInput(
            "Ray is reached by its client (ray://HOST:PORT), from outside the cluster: an "
            "experiment is started on a machine of the cluster, which shares --runs: use ray or "
            "ray://auto there"
        )
