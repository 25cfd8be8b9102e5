"""The cells of a call: which wait, which are run, and what came of each.

    pending ──> its run directory free? ──> time left for it? ──> run ─┬─> results/….json
       ^        └ no: the next cell         └ no: no more cells        ├─> an error: ….failed.json
       └───────────────── lost, and not for the last time ─────────────┘

The results are written here alone, whoever runs the cells (`Runner`).
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from w2stree.experiment.config import Config
from w2stree.experiment.grid.cells import Cell, Measurement, Unit
from w2stree.experiment.grid.equal_cells import TAKEN_FROM, take_equal
from w2stree.experiment.grid.plan import Plan
from w2stree.experiment.grid.results import Result, Results
from w2stree.experiment.grid.times import Times

Kind = Literal["stage", "progress", "warning", "done", "failed"]


@dataclass(frozen=True, slots=True)
class Doing:
    """How far a cell is in what it does: `done` of `total`, and `Figures`."""

    what: str
    done: int
    total: int
    figures: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.what} {self.done}/{self.total}"


Announce = Callable[[Unit, Kind, "str | Doing"], None]
"""Told of a cell, or an analysis, what happens in it; `Doing` of its progress."""

Progress = Callable[[int, int, "float | None"], None]
"""Told how many of all are done, and how many seconds the others may take."""


class Runner(Protocol):
    """Runs cells side by side, in processes of its own.

    `tries`: how often a cell is begun whose worker is lost.
    """

    tries: int

    def room_for(self, unit: Unit) -> int:
        """How many such cells may run side by side, at least 1."""
        ...

    def run(self, work: Work) -> None:
        """Until nothing of the work is left to begin. Raises the first error that is no cell's,
        and ends what runs then, as at Ctrl-C."""
        ...


@dataclass(slots=True)
class Work:
    """The cells and who has them; every method is for one thread at a time."""

    plan: Plan
    runs: Path
    results: Results
    runner: Runner
    announce: Announce
    progress: Progress
    redo: bool = False
    deadline: float | None = None
    times: Times = field(default_factory=Times)
    num_units: int = 0
    num_done_before: int = 0
    pending: list[Unit] = field(default_factory=list)
    busy: set[str] = field(default_factory=set)
    finished: list[Unit] = field(default_factory=list)
    failed: list[Unit] = field(default_factory=list)
    is_over: bool = False
    changed: threading.Condition = field(default_factory=threading.Condition)
    _losses: Counter[Unit] = field(default_factory=Counter)

    def add(self, units: Sequence[Unit]) -> None:
        """Those that have no result of today's configuration are to be run."""
        self.num_units += len(units)
        for unit in units:
            config = self.plan.config(unit)
            found = self.results.read(unit)
            if found is None or not found.is_of(config):
                found = self._taken(unit, config)
            if found is None:
                self.pending.append(unit)
                continue
            self.results.keep_config(unit, config)
            self.times.add(unit, found.record)
            self.num_done_before += 1

    def take(self, fits: Callable[[Unit], bool] = lambda unit: True) -> Unit | None:
        """The first that fits and whose run directory nobody is in; None where there is none now,
        and once there is no time for it."""
        with self.changed:
            for unit in () if self.is_over else self.pending:
                if self.plan.run_name(unit) in self.busy or not fits(unit):
                    continue
                if not self._has_time_for(unit):
                    self.end()
                    return None
                self.pending.remove(unit)
                self.busy.add(self.plan.run_name(unit))
                return unit
            return None

    def next_unit(self) -> Unit | None:
        """As `take`, and waits where all are taken. None at the end."""
        with self.changed:
            while self.has_more:
                if (unit := self.take()) is not None:
                    return unit
                if self.has_more:
                    self.changed.wait()
            return None

    @property
    def has_more(self) -> bool:
        """Whether there is one to begin, now or once another has ended."""
        return bool(self.pending) and not self.is_over

    def end(self) -> None:
        """Begin no more."""
        with self.changed:
            self.is_over = True
            self.changed.notify_all()

    def request(self, unit: Unit) -> dict[str, Any]:
        """What the program that runs cells is asked (`grid.worker`)."""

        def record(config: Config) -> dict[str, Any]:
            return config.model_dump(mode="json")

        match unit:
            case Cell(method=method):
                wanted: dict[str, Any] = {"method": method}
            case Measurement(asked=asked):
                wanted = {"analysis": {asked.name: asked.record}}
        return {
            "config": record(self.plan.config(unit)),
            "world": record(self.plan.worlds[unit.world]),
            "run_dir": str(self.runs / self.plan.run_name(unit)),
            "redo": self.redo,
            **wanted,
        }

    def hear(self, unit: Unit, event: Mapping[str, Any]) -> None:
        """What a worker tells of a cell: `record`, `error` or `lost` is the last of it."""
        with self.changed:
            match event:
                case {"stage": stage, "what": what}:
                    self.announce(unit, "stage", f"{stage} {what}")
                case {"warning": warning}:
                    self.announce(unit, "warning", warning)
                case {"progress": progress}:
                    self.announce(unit, "progress", Doing(**progress))
                case {"record": record}:
                    self._keep(unit, event)
                    self._settle(unit, self.finished, "done", f"{record['seconds']:.0f} s")
                case {"error": error}:
                    self._fail(unit, error)
                case {"lost": why}:
                    self._lose(unit, why)

    def tell(self) -> None:
        """How many are done."""
        with self.changed:
            num_done = self.num_done_before + len(self.finished) + len(self.failed)
            room = self.runner.room_for(self.pending[0]) if self.pending else 1
            self.progress(num_done, self.num_units, self.seconds_left(room))

    def seconds_left(self, num_side_by_side: int) -> float | None:
        """Of all that is pending, a stage that cells of one run have in common once; None where
        nothing is known of one."""
        together: dict[tuple[str, str], float] = {}
        with self.changed:
            for unit in self.pending:
                run = self.plan.run_name(unit)
                missing = self.times.missing(unit, self.runs / run)
                if missing is None:
                    return None
                together |= {(run, stage): seconds for stage, seconds in missing.items()}
        return sum(together.values()) / num_side_by_side

    def _has_time_for(self, unit: Unit) -> bool:
        if self.deadline is None:
            return True
        expected = self.times.expected(unit, self.runs / self.plan.run_name(unit)) or 0.0
        return time.monotonic() + expected < self.deadline

    def _taken(self, unit: Unit, config: Config) -> Result | None:
        if self.redo or not isinstance(unit, Cell):
            return None
        found = take_equal(self.results, unit, config, self.plan.worlds[unit.world])
        if found is not None:
            self.announce(unit, "done", f"the result of {found.record[TAKEN_FROM]}")
        return found

    def _keep(self, unit: Unit, reply: Mapping[str, Any]) -> None:
        self.results.keep_config(unit, self.plan.config(unit))
        match unit:
            case Cell():
                self.results.write(unit, reply["record"], reply["tasks"])
            case Measurement():
                self.results.write_measured(unit, reply["record"])
        self.times.add(unit, reply["record"])

    def _fail(self, unit: Unit, error: str) -> None:
        self.results.write_failure(unit, error)
        self._settle(unit, self.failed, "failed", error)

    def _lose(self, unit: Unit, why: str) -> None:
        self._losses[unit] += 1
        if (num_losses := self._losses[unit]) >= self.runner.tries:
            often = f"its worker was lost {num_losses} times, the last time so: "
            self._fail(unit, f"{often if num_losses > 1 else ''}{why}")
            return
        self.announce(unit, "warning", f"its worker was lost, and it is run again: {why}")
        self.busy.discard(self.plan.run_name(unit))
        self.pending.insert(0, unit)
        self.changed.notify_all()

    def _settle(
        self, unit: Unit, ended: list[Unit], kind: Literal["done", "failed"], said: str
    ) -> None:
        self.busy.discard(self.plan.run_name(unit))
        ended.append(unit)
        self.announce(unit, kind, said)
        self.tell()
        self.changed.notify_all()
