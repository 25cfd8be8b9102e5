"""Environments that fail, beside those of `bench.faults`: child processes import them from here."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

from bench.faults.failing_environments import Fine, Leaks


class NeverUp(Fine):
    def __init__(self) -> None:
        time.sleep(600)


class Killed(Fine):
    """Is killed in the middle of a step."""

    def step(self, action: str) -> Any:
        os.kill(os.getpid(), signal.SIGKILL)


class FailsOnBad(Fine):
    """One step long; that of the task `bad` is an exception."""

    def reset(self, task_id: str) -> Any:
        self._task_id = task_id
        return super().reset(task_id)

    def step(self, action: str) -> Any:
        if self._task_id == "bad":
            raise RuntimeError("out of fuel")
        return "end", 1.0, True, False, {"score": 1.0, "admissible_actions": []}


class LeaksOnTask1(Leaks):
    """One step long; that of `task 1` leaks for ever."""

    def reset(self, task_id: str) -> Any:
        self._task_id = task_id
        return super().reset(task_id)

    def step(self, action: str) -> Any:
        if self._task_id == "task 1":
            return super().step("endless")
        return "end", 1.0, True, False, {"score": 1.0, "admissible_actions": []}


class Asks(Fine):
    """Answers a reset with the value of the task id, a Python expression, as Python writes it."""

    def reset(self, task_id: str) -> Any:
        names = {"os": os, "signal": signal, "sys": sys}
        return repr(eval(task_id, names)), {"score": 0.0, "admissible_actions": []}


class Returns(Fine):
    """Answers a reset with this."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def reset(self, task_id: str) -> Any:
        return self._value


class WritesBytes(Fine):
    """Writes this into the pipe itself, as a hostile game can, and waits; nothing: it ends."""

    def __init__(self, sent: bytes, said: str = "") -> None:
        self._sent, self._said = sent, said

    def reset(self, task_id: str) -> Any:
        print(self._said, end="", file=sys.stderr, flush=True)
        if not self._sent:
            os._exit(0)
        os.set_blocking(int(sys.argv[1]), True)
        os.write(int(sys.argv[1]), self._sent)
        time.sleep(600)


class Floods(Fine):
    """Its step leaves processes behind that write without end."""

    def step(self, action: str) -> Any:
        for _ in range(4):
            if os.fork() == 0:
                while True:
                    os.write(1, b"x" * 2**16)
        return super().step(action)


class Halves(Fine):
    """Answers with halves of surrogate pairs: alone, and two that meet."""

    def step(self, action: str) -> Any:
        return ("\ud83d alone, \ud83d\ude00 together", *super().step(action)[1:])
