"""Running the cells that have no result yet, then the analyses, several side by side.

    pending ──> its run directory free? ──> time left for it? ──> a worker ──> results/….json
                └ no: the next cell         └ no: no more cells     └ an error: ….failed.json

Each worker is a process of its own and has one cell at a time. The results are written here alone;
whatever ends this process ends the workers, and another call goes on: finished stages are in the
run directories, finished cells have results.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

from w2stree.errors import RunDirectoryError
from w2stree.experiment.config import Config
from w2stree.experiment.grid.cells import Cell, Measurement, Unit
from w2stree.experiment.grid.plan import Plan
from w2stree.experiment.grid.results import Results
from w2stree.experiment.grid.times import Times
from w2stree.experiment.run_lock import holding
from w2stree.shorten import visible
from w2stree.trajectories.lock import refuse_without

_WORKER = "w2stree.experiment.grid.worker"
_LOGS = ".logs"
_LAST_CHARACTERS = 2_000  # of a log

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


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a call came to, by cells and analyses."""

    finished: Sequence[Unit]
    failed: Sequence[Unit]
    left: Sequence[Unit]
    """Not begun: the budget was spent."""


@dataclass(slots=True)
class _Work:
    """The cells and who has them; every method is for one thread at a time."""

    plan: Plan
    runs: Path
    results: Results
    pending: list[Unit]
    deadline: float | None
    times: Times
    busy: set[str] = field(default_factory=set)
    finished: list[Unit] = field(default_factory=list)
    failed: list[Unit] = field(default_factory=list)
    is_over: bool = False
    changed: threading.Condition = field(default_factory=threading.Condition)

    def next_unit(self) -> Unit | None:
        """The first one whose run directory nobody is in; waits where all are. None at the end."""
        with self.changed:
            while self.pending and not self.is_over:
                free = (u for u in self.pending if self.plan.run_name(u) not in self.busy)
                unit = next(free, None)
                if unit is None:
                    self.changed.wait()
                    continue
                if not self._has_time_for(unit):
                    self.is_over = True
                    break
                self.pending.remove(unit)
                self.busy.add(self.plan.run_name(unit))
                return unit
            self.changed.notify_all()
            return None

    def done(self, unit: Unit, reply: dict[str, Any]) -> None:
        with self.changed:
            self.busy.discard(self.plan.run_name(unit))
            if "record" in reply:
                self.results.keep_config(unit, self.plan.config(unit))
                match unit:
                    case Cell():
                        self.results.write(unit, reply["record"], reply["tasks"])
                    case Measurement():
                        self.results.write_measured(unit, reply["record"])
                self.times.add(unit, reply["record"])
                self.finished.append(unit)
            else:
                self.results.write_failure(unit, reply["error"])
                self.failed.append(unit)
            self.changed.notify_all()

    def seconds_left(self, num_processes: int) -> float | None:
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
        return sum(together.values()) / num_processes

    def _has_time_for(self, unit: Unit) -> bool:
        if self.deadline is None:
            return True
        expected = self.times.expected(unit, self.runs / self.plan.run_name(unit)) or 0.0
        return time.monotonic() + expected < self.deadline


def run_cells(
    plan: Plan,
    units: Sequence[Unit],
    *,
    runs: Path,
    results: Results,
    num_processes: int = 2,
    budget_s: float | None = None,
    redo: bool = False,
    announce: Announce,
    progress: Callable[[int, int, float | None], None] = lambda done, total, seconds_left: None,
) -> Outcome:
    """Run those of the cells, and measure those of the analyses, that have no result of today's
    configuration, in their order.

    `runs` is the folder of the run directories, which share stages; one call at a time holds it.
    With `budget_s` no cell is begun that would not end in so many seconds, as far as cells before
    it tell how long it takes. `redo`: as `run_experiment` has it. `announce` is told of cells,
    `progress` how many of all are done and how long the others may take.

    An error is that cell's alone (`Outcome.failed`); another call tries it again. Raises
    `RunDirectoryError` where another process runs cells in `runs`.
    """
    refuse_a_run(runs)
    refuse_without(f"{visible(str(runs))}: a run")
    runs.mkdir(parents=True, exist_ok=True)
    with holding(runs, option="--runs"):
        times, pending = Times(), list[Unit]()
        for unit in units:
            found = results.read(unit)
            if found is not None and found.is_of(plan.config(unit)):
                results.keep_config(unit, plan.config(unit))
                times.add(unit, found.record)
            else:
                pending.append(unit)
        deadline = None if budget_s is None else time.monotonic() + budget_s
        work = _Work(plan, runs, results, pending, deadline, times)
        num_before = len(units) - len(pending)

        def tell() -> None:
            done = num_before + len(work.finished) + len(work.failed)
            progress(done, len(units), work.seconds_left(num_processes))

        tell()
        _in_threads(work, min(num_processes, len(pending)), redo, announce, tell)
    return Outcome(work.finished, work.failed, work.pending)


def _in_threads(
    work: _Work, num_workers: int, redo: bool, announce: Announce, tell: Callable[[], None]
) -> None:
    """A thread for each worker; the first error of ours ends all, as Ctrl-C does."""
    num_threads = work.plan.grid.num_threads
    workers = [
        _Worker(work.runs / _LOGS / f"worker-{i}.log", num_threads) for i in range(num_workers)
    ]
    errors: list[BaseException] = []
    speaking = threading.Lock()

    def say(unit: Unit, kind: Kind, what: str | Doing) -> None:
        with speaking:
            announce(unit, kind, what)

    def serve(worker: _Worker) -> None:
        try:
            while (unit := work.next_unit()) is not None:
                reply = worker.run(_request(work, unit, redo), unit, say)
                work.done(unit, reply)
                if "record" in reply:
                    say(unit, "done", f"{reply['record']['seconds']:.0f} s")
                else:
                    say(unit, "failed", reply["error"])
                with speaking:
                    tell()
        except BaseException as error:
            errors.append(error)
            with work.changed:
                work.is_over = True
                work.changed.notify_all()

    threads = [threading.Thread(target=serve, args=(w,), daemon=True) for w in workers]
    try:
        for thread in threads:
            thread.start()
        while not errors and any(thread.is_alive() for thread in threads):
            for thread in threads:
                thread.join(0.5)  # Ctrl-C reaches a join that ends
    finally:
        with work.changed:
            work.is_over = True
            work.changed.notify_all()
        for worker in workers:
            worker.stop()
        for thread in threads:
            thread.join(10)
        for worker in workers:
            worker.close()
    if errors:
        raise errors[0]


def _request(work: _Work, unit: Unit, redo: bool) -> dict[str, Any]:
    def record(config: Config) -> dict[str, Any]:
        return config.model_dump(mode="json")

    match unit:
        case Cell(method=method):
            wanted: dict[str, Any] = {"method": method}
        case Measurement(asked=asked):
            wanted = {"analysis": {asked.name: asked.record}}
    return {
        "config": record(work.plan.config(unit)),
        "world": record(work.plan.worlds[unit.world]),
        "run_dir": str(work.runs / work.plan.run_name(unit)),
        "redo": redo,
        **wanted,
    }


class _Worker:
    """A process that runs cells and measures; started for the first, again where it has died."""

    def __init__(self, log: Path, num_threads: int) -> None:
        self._log, self._num_threads = log, num_threads
        self._process: subprocess.Popen[str] | None = None
        self._events: IO[str] | None = None
        self._is_stopped = False
        self._lock = threading.Lock()

    def run(self, request: dict[str, Any], unit: Unit, announce: Announce) -> dict[str, Any]:
        """The worker's reply: `record`, of a cell `tasks` too, or an `error`."""
        process, events = self._started()
        assert process.stdin is not None
        with suppress(OSError):  # it has died: the end of its events says so
            process.stdin.write(f"{json.dumps(request)}\n")
            process.stdin.flush()
        for line in iter(events.readline, ""):
            if not line.endswith("\n"):  # it died in the middle of it
                break
            match json.loads(line):
                case {"record": _} | {"error": _} as reply:
                    return dict(reply)
                case {"stage": stage, "what": what}:
                    announce(unit, "stage", f"{stage} {what}")
                case {"warning": warning}:
                    announce(unit, "warning", warning)
                case {"progress": progress}:
                    announce(unit, "progress", Doing(**progress))
        status = process.wait()
        if self._is_stopped:
            raise KeyboardInterrupt
        self.close()
        return {"error": f"its process ended with status {status}; {self._last_words()}"}

    def stop(self) -> None:
        """End the process; what it was making goes on with the next call. Who waits for its reply
        sees the end of its events."""
        with self._lock:
            self._is_stopped = True
            if self._process is not None:
                self._process.kill()
                self._process.wait()

    def close(self) -> None:
        """Once nobody waits for a reply any more."""
        with self._lock:
            process, events, self._process, self._events = self._process, self._events, None, None
        for stream in (events, None if process is None else process.stdin):
            if stream is not None:
                with suppress(OSError):  # a half-written request to a process that has died
                    stream.close()

    def _started(self) -> tuple[subprocess.Popen[str], IO[str]]:
        with self._lock:
            if self._is_stopped:
                raise KeyboardInterrupt
            if self._process is None or self._events is None:
                reading, writing = os.pipe()
                self._events = os.fdopen(reading, encoding="utf-8")
                try:
                    self._process = self._start(writing)
                finally:
                    os.close(writing)
            return self._process, self._events

    def _start(self, writing: int) -> subprocess.Popen[str]:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        path = os.pathsep.join(filter(None, sys.path))  # whatever is found here is found there
        threads = str(self._num_threads)  # torch reads it when it is imported
        with self._log.open("w", encoding="utf-8") as log:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", _WORKER, str(writing)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                pass_fds=(writing,),
                env={**os.environ, "OMP_NUM_THREADS": threads, "PYTHONPATH": path},
                start_new_session=True,  # Ctrl-C is this process's to handle
                text=True,
            )

    def _last_words(self) -> str:
        told = self._log.read_text(encoding="utf-8", errors="replace").strip()
        last = visible(told[-_LAST_CHARACTERS:], keep_lines=True)
        return f"its last words: {last}" if last else "it said nothing"


def refuse_a_run(runs: Path) -> None:
    """`RunDirectoryError` where the folder for run directories is one itself."""
    if (runs / "config.json").is_file():
        raise RunDirectoryError(
            f"--runs {visible(str(runs))}: is a run directory; give the folder that runs lie in"
        )
