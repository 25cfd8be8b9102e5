"""One measurement: a command over generated runs, in a process of its own.

    DIR/runs/*.parquet ──command──> DIR/out        DIR/calls.jsonl: what each call took

A measurement that was ended goes on in the same folder; what was taken before is counted.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from bench.scale.generated import Order
from bench.scale.phases import PhasedEngine, Taken, cpu_seconds, log_of, peak_bytes
from w2stree.scale.bucketed import run_buckets
from w2stree.scale.jobs import Forests, Job, Pairs
from w2stree.scale.section import has_rows

Command = Literal["tree", "pairs"]


@dataclass(frozen=True, slots=True)
class Case:
    """What is measured. `num_buckets` None: as many as the command would take."""

    steps: int
    command: Command
    order: Order
    num_buckets: int | None


@dataclass(frozen=True, slots=True)
class Phase:
    """All calls of one function together; `peak` is the greatest of one."""

    calls: int
    cpu_s: float
    wall_s: float
    read: int
    written: int
    peak: int


@dataclass(frozen=True, slots=True)
class Measurement:
    """Bytes and seconds. `rest_cpu_s`: of the driver, beside the calls; `rest_peak`: the greatest
    memory of the process after the calls. `sections` and `fragments`: of the pieces' files
    (`w2stree.scale.section`); `work`: what they take on disk. `load`: of the machine in the last
    five minutes."""

    steps: int
    command: Command
    order: Order
    num_buckets: int
    runs: int
    tasks: int
    nodes: int
    rows: int
    sections: int
    fragments: int
    input: int
    work: int
    output: int
    at_start: int
    sort: Phase
    make: Phase
    rest_cpu_s: float
    rest_peak: int
    wall_s: float
    load: float

    @property
    def cpu_s(self) -> float:
        return self.sort.cpu_s + self.make.cpu_s + self.rest_cpu_s

    @property
    def peak(self) -> int:
        return max(self.sort.peak, self.make.peak, self.rest_peak)

    @property
    def shuffle(self) -> int:
        """Bytes written to and read from the working folder."""
        return self.sort.written + self.make.read


class _CountingEngine(PhasedEngine):
    """Looks at the working folder between sorting and making: it is gone at the end."""

    def __init__(self, log: Path, work: Path) -> None:
        super().__init__(log)
        self._work = work
        self.sections = self.fragments = self.work = 0
        self.looking_cpu_s = 0.0

    def calls(
        self, function: Callable[..., None], arguments: Iterable[tuple[Any, ...]]
    ) -> Iterator[None]:
        if function.__name__ == "make_bucket":
            before = cpu_seconds()
            self.work = _size(self._work.glob("piece-*"))
            num_buckets = json.loads((self._work / "plan.json").read_text())["num_buckets"]
            for record in self._work.glob("piece-*.json"):
                with record.with_suffix(".rows").open("rb") as file:
                    for end in json.loads(record.read_text())["ends"]:
                        self.sections += 1
                        self.fragments += int(has_rows(file, end, num_buckets).sum())
            self.looking_cpu_s = cpu_seconds() - before
        return super().calls(function, arguments)


def measure(case: Case, folder: Path) -> Measurement:
    """In this process, which has done nothing before: runs of the case are in `folder`."""
    pa.chunked_array([[0.0]]).to_numpy()  # loads pandas, where it is: half a second, once
    at_start = peak_bytes()
    log = folder / "calls.jsonl"
    engine = _CountingEngine(log, folder / "out" / ".work")
    job: Job = Forests() if case.command == "tree" else Pairs(max_per_task=100)
    calls_before = len(log_of(log)) if log.exists() else 0
    begin, cpu = time.monotonic(), cpu_seconds()
    finished = run_buckets(
        job, [str(folder / "runs")], folder / "out", engine, num_buckets=case.num_buckets
    )
    wall, cpu = time.monotonic() - begin, cpu_seconds() - cpu
    taken = log_of(log)
    counts = finished.manifest.counts
    return Measurement(
        **{**asdict(case), "num_buckets": finished.manifest.num_buckets},
        runs=counts["num_runs"],
        tasks=counts.get("num_trees", 0),
        nodes=counts.get("num_nodes", 0),
        rows=counts.get("num_rows", 0),
        sections=engine.sections,
        fragments=engine.fragments,
        input=_size((folder / "runs").glob("*.parquet")),
        work=engine.work,
        output=_size((folder / "out").rglob("*")),
        at_start=at_start,
        sort=_phase(taken, "sort_piece"),
        make=_phase(taken, "make_bucket"),
        rest_cpu_s=cpu - engine.looking_cpu_s - sum(one.cpu_s for one in taken[calls_before:]),
        rest_peak=peak_bytes(),
        wall_s=wall + sum(one.wall_s for one in taken[:calls_before]),
        load=os.getloadavg()[1],
    )


def measurement_of(line: str) -> Measurement:
    """Of a line of JSON, as `asdict` has it."""
    record = json.loads(line)
    phases = {name: Phase(**record.pop(name)) for name in ("sort", "make")}
    return Measurement(**record, **phases)


def _phase(taken: Sequence[Taken], what: str) -> Phase:
    of = [one for one in taken if one.what == what]
    return Phase(
        len(of),
        sum(one.cpu_s for one in of),
        sum(one.wall_s for one in of),
        sum(one.read for one in of),
        sum(one.written for one in of),
        max((one.peak for one in of), default=0),
    )


def _size(files: Iterable[Path]) -> int:
    return sum(file.stat().st_size for file in files if file.is_file())
