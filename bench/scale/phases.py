"""An engine that calls in this process, and notes of each call what it took.

sort_piece  ──> seconds of the processor, bytes read and written, greatest resident memory
make_bucket ──> the same          a line of JSON each, so that what was ended is not lost
"""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Taken:
    """By something that was done. Bytes are those of read and write calls, from disk or not."""

    what: str
    cpu_s: float
    wall_s: float
    read: int
    written: int
    peak: int


class PhasedEngine:
    """`LocalEngine` with a line in the file `log` for each call."""

    def __init__(self, log: Path) -> None:
        self._log = log

    def calls(
        self, function: Callable[..., None], arguments: Iterable[tuple[Any, ...]]
    ) -> Iterator[None]:
        for given in arguments:
            with self._log.open("a") as log:
                taken = taken_by(function.__name__, lambda given=given: function(*given))
                log.write(json.dumps(asdict(taken)) + "\n")
            yield


def taken_by(what: str, done: Callable[[], object]) -> Taken:
    """Does it. `peak`: the greatest resident memory of this process meanwhile (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    begin, cpu, (read, written) = time.monotonic(), cpu_seconds(), _bytes()
    done()
    end, (read_then, written_then) = time.monotonic(), _bytes()
    return Taken(
        what,
        cpu_seconds() - cpu,
        end - begin,
        read_then - read,
        written_then - written,
        peak_bytes(),
    )


def log_of(file: Path) -> list[Taken]:
    return [Taken(**json.loads(line)) for line in file.read_text().splitlines()]


def cpu_seconds() -> float:
    """Of this process and its threads, in the kernel too."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def peak_bytes() -> int:
    """Greatest resident memory of this process, since its peak was last cleared."""
    return _of("status", "VmHWM") << 10


def _bytes() -> tuple[int, int]:
    return _of("io", "rchar"), _of("io", "wchar")


def _of(file: str, name: str) -> int:
    lines = Path(f"/proc/self/{file}").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))
