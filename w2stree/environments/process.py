"""An environment in a process of its own: a hang or a crash costs one episode, not the run.

    driver ──pipe──> child (own process group) ──> JVM, parser, …
           <─reply──

The child ends when its pipe closes, so it does not outlive the driver.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from w2stree.environment import Environment
from w2stree.errors import EnvironmentFailure, InvalidInput, MissingDependency

# Raised by the child as themselves: the user's mistake, not the environment's failure.
_USER_ERRORS = (InvalidInput, MissingDependency)


class EnvironmentProcess:
    """A proxy: `call` runs a method of the environment in the child and returns its result.

    `send` and `receive` are the two halves of `call`, so that many children can work at once.
    Raises `EnvironmentFailure` when the child dies, answers with an exception or exceeds
    `deadline_s`; the child is then killed with everything it started.
    """

    def __init__(self, factory: Callable[[], Environment], *, deadline_s: float = 60.0) -> None:
        self._deadline_s = deadline_s
        # spawn: a forked JVM bridge or torch thread pool would be broken in the child.
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, factory), daemon=True)
        self._process.start()
        theirs.close()
        self._started = False

    def call(self, method: str, *args: Any) -> Any:
        self.send(method, *args)
        return self.receive()

    def send(self, method: str, *args: Any) -> None:
        if not self._started:
            # The first reply answers the constructor: its error names the user's mistake.
            self._started = True
            self.receive()
        try:
            self._pipe.send((method, args))
        except OSError as error:
            raise self._failure(f"its process is gone ({error})") from None

    def receive(self) -> Any:
        try:
            if not self._pipe.poll(self._deadline_s):
                raise self._failure(f"no answer within {self._deadline_s:g} s")
            is_ok, value = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise self._failure(f"its process ended ({error or 'pipe closed'})") from None
        if is_ok:
            return value
        if isinstance(value, _USER_ERRORS):
            raise value
        raise self._failure(f"{type(value).__name__}: {value}")

    def close(self) -> None:
        """End the child and everything it started; safe to call twice."""
        self._pipe.close()
        self._process.join(timeout=5)
        self._kill()

    def __enter__(self) -> EnvironmentProcess:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _failure(self, reason: str) -> EnvironmentFailure:
        self._kill()
        return EnvironmentFailure(f"environment process {self._process.pid}: {reason}")

    def _kill(self) -> None:
        if self._process.pid is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.kill()  # it may not have reached its own group yet
        self._process.join(timeout=5)


def _serve(pipe: Connection, factory: Callable[[], Environment]) -> None:
    environment: Environment | None = None
    # A closed pipe means that the driver is done with us, or dead: nobody is left to tell.
    with contextlib.suppress(EOFError, OSError, KeyboardInterrupt):
        os.setsid()  # own group: Ctrl-C is the driver's to handle, and killpg reaches the JVM
        try:
            environment = factory()
        except Exception as error:
            pipe.send((False, _portable(error)))
            return
        pipe.send((True, None))
        while True:
            method, args = pipe.recv()
            try:
                reply = (True, getattr(environment, method)(*args))
            except Exception as error:
                reply = (False, _portable(error))
            pipe.send(reply)
    if environment is not None:
        environment.close()


def _portable(error: Exception) -> Exception:
    # An exception of a third-party class may not unpickle in the driver.
    if isinstance(error, _USER_ERRORS):
        return error
    return RuntimeError(f"{type(error).__name__}: {error}")
