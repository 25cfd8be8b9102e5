"""An environment in a process of its own: a hang or a crash costs one episode, not the run.

    driver ──pipe──> child (own process group) ──> JVM, parser, …
           <─reply──

The child ends when its pipe closes; its guardian kills the whole group when the driver is gone,
whatever the child is doing then.
"""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import os
import pickle
import select
import signal
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any

from w2stree.environments.hosting.guardian import start_guardian
from w2stree.environments.hosting.limits import Limits
from w2stree.environments.hosting.replay import with_snapshots
from w2stree.environments.protocol import Environment, SnapshotEnvironment
from w2stree.errors import (
    EnvironmentFailure,
    EnvironmentNotStarted,
    InvalidInput,
    MissingDependency,
)

# Raised by the child as themselves: the user's mistake, not the environment's failure.
_USER_ERRORS = (InvalidInput, MissingDependency)
_GRACE_S = 5.0  # to close a JVM, once asked to
# For what comes at once unless the machine is busy: the guardian's answer, an exit status.
_LAST_WORDS_S = 60.0


class EnvironmentProcess:
    """A proxy: `call` runs a method of the environment in the child and returns its result.

    `send` and `receive` are the two halves of `call`, so that many children can work at once.
    Every environment has `snapshot` and `restore` here (`Replayable`). Raises
    `EnvironmentFailure` when the child dies, answers with an exception, is not up within
    `limits.start_deadline_s` of its start, does not answer within `limits.deadline_s` of the
    request, or when its group's resident memory exceeds `limits.memory_limit_mb` (sampled four
    times a second); the child is then killed with everything it started. Until the child is up it
    is `EnvironmentNotStarted`.

    A fresh child replaces it at the reset after `limits.max_episodes` resets: some engines leak.
    """

    def __init__(self, factory: Callable[[], Environment], limits: Limits = Limits()) -> None:
        self._name = getattr(getattr(factory, "func", factory), "__name__", "environment")
        try:
            self._factory = pickle.dumps(factory)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise InvalidInput(
                f"{self._name} cannot be sent to a process ({error}); give a class or function "
                "of a module, or a functools.partial of one"
            ) from None
        self._limits = limits
        self._num_episodes, self._task_id = 0, ""
        self._is_ready = self._is_killed = False
        self._driver = os.getpid()
        self._start()
        _open.add(self)

    @property
    def pid(self) -> int:
        """The id of the current child, which is its process group's too."""
        assert self._process.pid is not None
        return self._process.pid

    def call(self, method: str, *args: Any) -> Any:
        self.send(method, *args)
        return self.receive()

    def send(self, method: str, *args: Any) -> None:
        if method == "reset":
            if self._num_episodes == self._limits.max_episodes:
                self.close()
                self._start()
            self._num_episodes += 1
            self._task_id = args[0]
        # A dead child makes this fail; `receive` then raises, with the end of the child's stderr.
        with contextlib.suppress(OSError):
            self._pipe.send_bytes(pickle.dumps((method, args), pickle.HIGHEST_PROTOCOL))
        self._due = time.monotonic() + self._limits.deadline_s

    def receive(self) -> Any:
        if not self._is_ready:
            # The first reply answers the constructor: its error names the user's mistake.
            try:
                self._reply(self._start_due, self._limits.start_deadline_s)
            except EnvironmentFailure as failure:
                raise EnvironmentNotStarted(str(failure)) from None
            self._is_ready = True
            self._due = time.monotonic() + self._limits.deadline_s
        return self._reply(self._due, self._limits.deadline_s)

    def hang_up(self) -> None:
        """Ask the child to end, without waiting for it; `close` does both."""
        if not self._pipe.closed:
            self._pipe.close()
            self._end_by = time.monotonic() + _GRACE_S

    def close(self) -> None:
        """End the child and everything it started; safe to call twice."""
        self.hang_up()
        self._process.join(timeout=max(0.0, self._end_by - time.monotonic()))
        self._kill()

    def __enter__(self) -> EnvironmentProcess:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _start(self) -> None:
        # spawn: a forked JVM bridge or torch thread pool would be broken in the child, and a
        # sibling would inherit this child's lifeline.
        context = multiprocessing.get_context("spawn")
        self._pipe, childs = context.Pipe()
        self._lifeline, guardians = context.Pipe()
        self._process = context.Process(
            target=_serve,
            args=(childs, guardians, self._factory, self._limits.memory_limit_mb),
            daemon=True,
        )
        with _interrupts_deferred():
            self._process.start()
        childs.close()
        guardians.close()
        self._answers = select.poll()  # kept: Connection.poll makes a selector at each call
        self._answers.register(self._pipe.fileno(), select.POLLIN)
        self._start_due = time.monotonic() + self._limits.start_deadline_s
        self._is_ready = self._is_killed = False
        self._num_episodes, self._task_id = 0, ""

    def _reply(self, due: float, deadline_s: float) -> Any:
        if self._pipe.closed:
            raise EnvironmentFailure(f"environment process {self.pid} ({self._name}) is closed")
        if not self._answers.poll(1000 * max(0.0, due - time.monotonic())):
            raise self._failure(f"no answer within {deadline_s:g} s")
        try:
            is_ok, value = pickle.loads(self._pipe.recv_bytes())
        except (EOFError, OSError):
            raise self._failure(f"its process ended{self._exit_status()}") from None
        if is_ok:
            return value
        if isinstance(value, _USER_ERRORS):
            raise value
        raise self._failure(value)

    def _failure(self, reason: str) -> EnvironmentFailure:
        cause, stderr = self._last_words()
        self._kill()
        doing = f"{self._name}, {self._task_id}" if self._task_id else self._name
        wrote = f"; it last wrote to stderr: {stderr}" if stderr else ""
        return EnvironmentFailure(
            f"environment process {self.pid} ({doing}): {cause or reason}{wrote}"
        )

    def _last_words(self) -> tuple[str | None, str]:
        """From the guardian: why it killed the group, if it did; the end of its stderr."""
        cause, tail = None, b""
        with contextlib.suppress(EOFError, OSError):  # the guardian is gone, or never was
            with contextlib.suppress(OSError):  # gone, but it may have left a message
                self._lifeline.send_bytes(b"last words?")
            if self._lifeline.poll(_LAST_WORDS_S):
                cause, tail = self._lifeline.recv()
        return cause, " | ".join(tail.decode(errors="replace").split("\n")).strip(" |")

    def _exit_status(self) -> str:
        self._process.join(timeout=_LAST_WORDS_S)
        code = self._process.exitcode
        if code is None:
            return ""
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
        return f" ({how})"

    def _kill(self) -> None:
        if self._is_killed:
            return  # its group's id may be another's by now
        self._is_killed = True
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.kill()  # it may not have reached its own group yet
        self._process.join(timeout=_GRACE_S)
        self._lifeline.close()


_open: weakref.WeakSet[EnvironmentProcess] = weakref.WeakSet()


@atexit.register
def _kill_open() -> None:
    # Registered after multiprocessing's own handler and so run before it: that one waits without
    # a limit for a child that does not heed SIGTERM.
    for process in list(_open):
        if process._driver == os.getpid():  # not of a fork of the driver
            process._kill()


@contextlib.contextmanager
def _interrupts_deferred() -> Iterator[None]:
    """Ctrl-C waits; a child started meanwhile has it blocked from its first instruction.

    The mask is this thread's alone, and the system may hand Ctrl-C to another thread of the
    driver (torch has some). Python then interrupts the main thread: its handler waits too.
    """
    arrived: list[tuple[int, FrameType | None]] = []
    handler = signal.getsignal(signal.SIGINT)
    defers = callable(handler) and threading.current_thread() is threading.main_thread()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    if defers:
        signal.signal(signal.SIGINT, lambda number, frame: arrived.append((number, frame)))
    try:
        yield
    finally:
        if defers:
            signal.signal(signal.SIGINT, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if callable(handler) and arrived:
            handler(*arrived[0])


def _serve(
    pipe: Connection, lifeline: Connection, factory: bytes, memory_limit_mb: int | None
) -> None:
    os.setsid()  # own group: Ctrl-C is the driver's to handle, and killpg reaches the JVM
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    start_guardian(lifeline, memory_limit_mb)
    environment: SnapshotEnvironment | None = None
    # A closed pipe means that the driver is done with us, or dead: nobody is left to tell.
    with contextlib.suppress(EOFError, OSError):
        try:
            environment = with_snapshots(pickle.loads(factory)())
        except Exception as error:
            pipe.send_bytes(_encoded(False, _portable(error)))
            return
        pipe.send_bytes(_encoded(True, None))
        while True:
            method, args = pickle.loads(pipe.recv_bytes())
            try:
                reply = _encoded(True, getattr(environment, method)(*args))
            except Exception as error:
                reply = _encoded(False, _portable(error))
            pipe.send_bytes(reply)
    if environment is not None:
        environment.close()


def _encoded(is_ok: bool, value: Any) -> bytes:
    return pickle.dumps((is_ok, value), pickle.HIGHEST_PROTOCOL)


def _portable(error: Exception) -> Exception | str:
    # An exception of a third-party class may not unpickle in the driver.
    if isinstance(error, _USER_ERRORS):
        return error
    return f"{'' if isinstance(error, EnvironmentFailure) else f'{type(error).__name__}: '}{error}"
