"""Drivers ended while their environments start: what is left of them?

    python -m bench.faults.starts KIND FOLDER      a driver that starts two, saying when it begins

From the fork of the first guardian to the second environment's first answer: interpreters start,
descriptors are passed on, the engine comes up. Linux: what is left is found in /proc.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.faults.endings import WITHIN_S, end, left
from bench.faults.failing_environments import Fine, HasChild
from w2stree.environments.hosting.process import EnvironmentProcess

MARK = "W2STREE_STARTED_BY"
"""A variable that everything which a program starts inherits, whatever group it is in."""

_SITE = "import time; time.sleep(600)"


class NeverUp(HasChild):
    """Has started a process, and never comes up."""

    def __init__(self) -> None:
        super().__init__()
        time.sleep(600)


KINDS = {
    "Fine": Fine,
    "HasChild": HasChild,
    "NeverUp": NeverUp,
    "HangsInSite": Fine,  # the child's interpreter hangs before any code of ours
}


@dataclass(slots=True)
class StartCounts:
    """`num_before_ready` of the drivers were ended before both environments had answered;
    `num_orphans` processes outlived their driver by two minutes: for good."""

    num_ended: int = 0
    num_before_ready: int = 0
    num_orphans: int = 0


def end_while_starting(
    folder: Path,
    *,
    num_ends: int,
    seed: int,
    kinds: Sequence[str] = tuple(KINDS),
    number: signal.Signals = signal.SIGKILL,
) -> StartCounts:
    """End `num_ends` drivers by a signal, at moments spread over what a start takes here."""
    counts, moments = StartCounts(), random.Random(seed)
    whole_s = max(_start(folder, "Fine").until_ready() for _ in range(3))
    for i in range(num_ends):
        driver = _start(folder, kinds[i % len(kinds)])
        time.sleep(moments.uniform(0.0, 1.1 * whole_s))
        counts.num_before_ready += not driver.end(number)
        counts.num_ended += 1
        counts.num_orphans += len(driver.left())
    return counts


class _Driver:
    def __init__(self, process: subprocess.Popen[str], mark: str) -> None:
        self._process, self._mark = process, mark

    def until_ready(self) -> float:
        """Seconds; the driver is then ended."""
        assert self._process.stdout
        began = time.monotonic()
        assert self._process.stdout.readline() == "ready\n"
        seconds = time.monotonic() - began
        self.end(signal.SIGKILL)
        return seconds

    def end(self, number: signal.Signals) -> bool:
        """Whether its environments were ready by then."""
        end(self._process, number)
        said, _ = self._process.communicate(timeout=120)
        return said == "ready\n"

    def left(self) -> list[int]:
        return marked_left(self._mark)


def _start(folder: Path, kind: str) -> _Driver:
    """A driver that has begun."""
    mark = uuid.uuid4().hex
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.faults.starts", kind, str(folder)],
        cwd=Path(__file__).parents[2],
        env={**os.environ, MARK: mark},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "begin\n"
    return _Driver(process, mark)


def marked_left(mark: str, *, within_s: float = WITHIN_S) -> list[int]:
    """The processes with this mark that still run after waiting at most so long for their end."""
    return left(lambda: _marked(mark), within_s=within_s)


def _marked(mark: str) -> list[int]:
    entry, found = f"{MARK}={mark}".encode(), []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):  # it ended meanwhile, or is another user's
                if entry in (folder / "environ").read_bytes().split(b"\0"):
                    found.append(int(folder.name))
    return found


def _drive(kind: str, folder: Path) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored behind a shell's `&`
    if kind == "HangsInSite":
        (folder / "sitecustomize.py").write_text(_SITE, encoding="utf-8")
        os.environ["PYTHONPATH"] = str(folder)
    print("begin", flush=True)
    processes = [EnvironmentProcess(KINDS[kind]) for _ in range(2)]
    for process in processes:
        process.call("reset", "task")
    print("ready", flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    _drive(sys.argv[1], Path(sys.argv[2]))
