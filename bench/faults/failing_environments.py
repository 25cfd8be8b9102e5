"""Environments that fail on purpose, and drivers that end badly: what is left of them?

    python -m bench.faults.failing_environments KIND HOW   a driver that holds two processes

Used by the tests at small scale and by `bench.faults` at full scale.
"""

from __future__ import annotations

import collections
import ctypes
import functools
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from bench.faults.endings import WITHIN_S, end, left
from w2stree.environments.hosting.process import EnvironmentProcess

Ending = Literal["return", "exception", "SIGTERM", "SIGINT", "SIGKILL"]
"""How a driver ends: by itself (the first two), or by a signal sent to it."""

_MEBIBYTE = 2**20
_MOST_LEAKS = 32  # of 16 MiB: above the tests' limits for good, however late that is noticed
_HELD: list[
    EnvironmentProcess
] = []  # alive until the interpreter ends: what a careless driver does


class Fine:
    """Answers at once."""

    def reset(self, task_id: str) -> Any:
        return "start", {"score": 0.0, "admissible_actions": ["go"]}

    def step(self, action: str) -> Any:
        return "on", 0.0, False, False, {"score": 0.0, "admissible_actions": ["go"]}

    def close(self) -> None:
        pass


class Sleeps(Fine):
    """Never answers a step, as a game's infinite loop would; says so before it begins."""

    def __init__(self) -> None:
        print("the game is stuck", file=sys.stderr, flush=True)

    def step(self, action: str) -> Any:
        time.sleep(600)


class HoldsTheLock(Fine):
    """Hangs in C with the interpreter's lock held: no thread and no signal handler of it runs."""

    def step(self, action: str) -> Any:
        ctypes.PyDLL(None).sleep(600)


class HoldsTheLockForGood(Fine):
    """The same, busy, and with a SIGTERM handler that thus never runs: the signal is lost."""

    def __init__(self) -> None:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())

    def step(self, action: str) -> Any:
        collections.deque(itertools.repeat(0), maxlen=0)


class Dies(Fine):
    """Ends its process in the middle of a step."""

    def step(self, action: str) -> Any:
        print("out of cheese", file=sys.stderr, flush=True)
        os._exit(3)


class Leaks(Fine):
    """Keeps 16 MiB more at each step, up to 512; the step "endless" leaks on and never answers."""

    def __init__(self) -> None:
        self._kept: list[bytes] = []

    def step(self, action: str) -> Any:
        while True:
            if len(self._kept) < _MOST_LEAKS:
                self._kept.append(b"x" * (16 * _MEBIBYTE))
            time.sleep(0.02)
            if action != "endless":
                return super().step(action)


class HasChild(Fine):
    """Starts a process that ignores every polite signal, as an engine's server might."""

    def __init__(self) -> None:
        ignore = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
        self._child = subprocess.Popen([sys.executable, "-c", f"{ignore}; time.sleep(600)"])

    def step(self, action: str) -> Any:
        time.sleep(600)


def kinds() -> dict[str, Callable[[], Any]]:
    """Factories by name."""
    from w2stree.environments.textworld_express import TextWorldExpress

    own: tuple[type[Fine], ...] = (Fine, Sleeps, HoldsTheLock, HoldsTheLockForGood, HasChild)
    return {
        **{kind.__name__: kind for kind in own},
        "TextWorldExpress": functools.partial(TextWorldExpress, "coin"),
    }


def living(groups: Sequence[int]) -> list[str]:
    """The processes of these groups that still run, as lines of `ps`; zombies are dead."""
    listed = subprocess.run(
        ["ps", "-axo", "pgid=,pid=,stat=,args="], capture_output=True, text=True, check=True
    )
    return [
        line
        for line in listed.stdout.splitlines()
        if int(line.split()[0]) in groups and not line.split()[2].startswith("Z")
    ]


def survivors(groups: Sequence[int], *, within_s: float = WITHIN_S) -> list[str]:
    """What still runs of these groups after waiting at most so long for it to end."""
    return left(lambda: living(groups), within_s=within_s)


def end_driver(kind: str, ending: Ending) -> tuple[list[str], list[str], str]:
    """Run a driver and end it in the middle of its processes' step.

    Returns what ran in their groups before, what is left after (should be nothing), and what
    the driver and they wrote to stderr.
    """
    driver = subprocess.Popen(
        [sys.executable, "-m", "bench.faults.failing_environments", kind, ending],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert driver.stdin
    assert driver.stdout
    groups = [int(pid) for pid in driver.stdout.readline().split()]
    before = living(groups)
    if ending in ("return", "exception"):
        driver.stdin.write("end\n")
        driver.stdin.flush()
    else:
        end(driver, signal.Signals[ending])
    try:
        _, stderr = driver.communicate(timeout=300)
    finally:
        driver.kill()  # where it hangs at its own end
    return before, survivors(groups), stderr


def _drive(kind: str, ending: str) -> None:
    _HELD.extend(EnvironmentProcess(kinds()[kind]) for _ in range(2))
    for process in _HELD:
        process.call("reset", "coin/train/0")
        process.send("step", "look around")
    print(*(process.pid for process in _HELD), flush=True)
    sys.stdin.readline()
    if ending == "exception":
        raise RuntimeError("the driver fails")


if __name__ == "__main__":
    _drive(*sys.argv[1:])
