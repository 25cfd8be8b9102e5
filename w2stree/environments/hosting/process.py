"""An environment in a process of its own: a hang or a crash costs one episode, not the run.

    driver ──pipe──> child ──> JVM, parser, …          one process group, under a guardian
           <─data──

The child ends when its pipe closes; its guardian kills the whole group when the driver is gone,
whatever the child is doing then. It is a fresh interpreter, with the driver's options,
`sys.path`, working directory and environment variables, and never imports the main script.
"""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from w2stree.environments.answers import checked
from w2stree.environments.hosting import child
from w2stree.environments.hosting.factory import name_of, pickled
from w2stree.environments.hosting.guarded import GuardedGroup, LastWords, forks_wait, pair
from w2stree.environments.hosting.limits import Limits
from w2stree.environments.hosting.messages import (
    MAX_BYTES,
    USER_ERRORS,
    Channel,
    MalformedMessage,
    decode,
    encode,
)
from w2stree.environments.protocol import Environment
from w2stree.errors import EnvironmentFailure, EnvironmentNotStarted
from w2stree.shorten import excerpt, visible

# What goes wrong in these is the agent's doing or the game's: no mistake of a configuration.
_PLAYING = ("step", "restore")
_GRACE_S = 5.0  # to close a JVM, once asked to
# For what comes at once unless the machine is busy: the guardian's answer, an exit status.
_LAST_WORDS_S = 60.0

LAST_WROTE = "; it last wrote"
"""What stands before a process's own words in a failure; they are not its cause."""


class EnvironmentProcess:
    """A proxy: `call` runs a method of the environment in the child and returns its result.

    `factory` makes the environment, in the child. What a module defines is imported there; what
    the main script, a notebook or a lambda defines is sent by value where cloudpickle is
    installed, and refused as `InvalidInput` where it is not.

    `send` and `receive` are the two halves of `call`, so that many children can work at once.
    Every environment has `snapshot` and `restore` here (`Replayable`). Arguments and results are
    data (`messages`), and every answer is checked (`answers`). Raises `EnvironmentFailure` when the
    child dies, answers with an exception or with what `answers` refuses, is not up within
    `limits.start_deadline_s` of its start, does not answer within `limits.deadline_s` of the
    request, or when its group's resident memory exceeds `limits.memory_limit_mb` (sampled four
    times a second); the child is then killed with everything it started. Until the child is up it
    is `EnvironmentNotStarted`. `InvalidInput` and `MissingDependency` of the child are raised as
    themselves: the user's mistakes; but not of a step, whose action is the agent's.

    A fresh child replaces it at the reset after `limits.max_episodes` resets: some engines leak;
    and at the reset after a request whose answer nobody received (Ctrl-C in a notebook). Until that
    reset everything else raises `EnvironmentFailure`: the next answer would be the last request's.
    """

    # Of the current child:
    _group: GuardedGroup
    _pipe: socket.socket
    _channel: Channel
    _num_episodes: int
    _is_ready: bool
    _is_hung_up: bool
    _is_awaited: bool
    _asked: str

    def __init__(self, factory: Callable[[], Environment], limits: Limits = Limits()) -> None:
        self._name, self._factory = name_of(factory), pickled(factory)
        self._limits = limits
        self._start()

    @property
    def pid(self) -> int:
        """The id of the current child's process group."""
        return self._group.pid

    def call(self, method: str, *args: Any) -> Any:
        self.send(method, *args)
        return self.receive()

    def send(self, method: str, *args: Any) -> None:
        try:
            request = encode([method, args])
        except MalformedMessage as error:
            raise EnvironmentFailure(f"{method} cannot be asked of {self._name}: {error}") from None
        if method == "reset":
            if not self._is_hung_up:
                self._replace_if_due()
            self._num_episodes += 1
            self._task_id = args[0]
        elif self._is_awaited:
            raise self._failure(
                f"the answer to {self._asked} was not received (an interrupt?); reset starts a "
                "fresh process"
            )
        self._asked, self._is_awaited = method, True
        self._due = time.monotonic() + self._limits.deadline_s
        # A dead child makes this fail; `receive` then raises, with the end of what it wrote.
        with contextlib.suppress(OSError):
            self._channel.send(request, self._due)

    def receive(self) -> Any:
        try:
            answer = self._received()
        except Exception:  # not an interrupt
            self._is_awaited = False
            raise
        self._is_awaited = False
        return answer

    def hang_up(self) -> None:
        """Ask the child to end, without waiting for it; `close` does both."""
        if self._group.is_ours and not self._is_hung_up:
            self._is_hung_up = True
            with contextlib.suppress(OSError):
                self._pipe.shutdown(socket.SHUT_RDWR)  # ends a `receive` in another thread too
            self._end_by = time.monotonic() + _GRACE_S

    def close(self) -> None:
        """End the child and everything it started; safe to call twice."""
        self.hang_up()
        if self._group.is_ours:
            self._group.wait(max(0.0, self._end_by - time.monotonic()))
            self._kill()

    def __enter__(self) -> EnvironmentProcess:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _start(self) -> None:
        self._start_due = time.monotonic() + self._limits.start_deadline_s
        self._is_ready = self._is_hung_up = self._is_awaited = False
        self._num_episodes, self._task_id, self._asked = 0, "", ""
        try:
            self._pipe, self._group = self._child()
        except OSError as error:
            raise EnvironmentNotStarted(
                f"no process can be started for {self._name}: {error}"
            ) from None
        self._channel = Channel(self._pipe, MAX_BYTES)
        path = json.dumps(_import_path()).encode("ascii")
        with contextlib.suppress(OSError):  # as `send`
            self._channel.send(path, self._start_due)
            self._channel.send(self._factory, self._start_due)

    def _replace_if_due(self) -> None:
        if self._is_awaited:
            self._kill()  # it may be busy
            self._start()
        elif self._num_episodes == self._limits.max_episodes:
            self.close()
            self._start()

    def _child(self) -> tuple[socket.socket, GuardedGroup]:
        with forks_wait:
            pipe, childs = pair()
            with childs:
                try:
                    return pipe, GuardedGroup(
                        _command(childs.fileno()),
                        inherited=[childs.fileno()],
                        memory_limit_mb=self._limits.memory_limit_mb,
                    )
                except BaseException:
                    pipe.close()
                    raise

    def _received(self) -> Any:
        if not self._is_ready:
            # The first answer is the constructor's: its error names the user's mistake.
            try:
                self._answer(self._start_due, self._limits.start_deadline_s)
            except EnvironmentFailure as failure:
                raise EnvironmentNotStarted(str(failure)) from None
            self._is_ready = True
            self._due = time.monotonic() + self._limits.deadline_s
        answer = self._answer(self._due, self._limits.deadline_s)
        try:
            return checked(self._asked, answer)
        except EnvironmentFailure as failure:
            raise self._failure(excerpt(str(failure))) from None

    def _answer(self, due: float, deadline_s: float) -> Any:
        if self._is_hung_up:
            raise EnvironmentFailure(f"environment process {self.pid} ({self._name}) is closed")
        try:
            answer = decode(self._channel.receive(due))
        except MalformedMessage as error:
            raise self._failure(f"its answer cannot be read: {error}") from None
        except TimeoutError:
            raise self._failure(f"no answer within {deadline_s:g} s") from None
        except (EOFError, OSError):
            words = self._group.wait(_LAST_WORDS_S)
            raise self._failure(f"its process ended{_how(words)}", words) from None
        is_playing = self._is_ready and self._asked in _PLAYING
        match answer:
            case ["ok", value]:
                return value
            case ["error", str(kind), str(text)] if kind in USER_ERRORS and not is_playing:
                raise USER_ERRORS[kind](excerpt(text))
            case ["error", str(), str(text)]:
                raise self._failure(excerpt(text))
        raise self._failure("its answer is none of ours: something else wrote into the pipe")

    def _failure(self, reason: str, words: LastWords | None = None) -> EnvironmentFailure:
        words = words or self._group.ask(_LAST_WORDS_S)
        self._kill()
        doing = f"{self._name}, {self._task_id}" if self._task_id else self._name
        output = visible(" | ".join(words.output.split("\n")).strip(" |"))
        wrote = f"{LAST_WROTE}: {output}" if output else ""
        return EnvironmentFailure(
            f"environment process {self.pid} ({doing}): {words.cause or reason}{wrote}"
        )

    def _kill(self) -> None:
        self._group.kill()
        self._pipe.close()


def _command(descriptor: int) -> list[str]:
    # The interpreter's own options, as multiprocessing passes them on: -I, -W, -X dev, …
    options = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    return [sys.executable, *options, "-P", str(Path(child.__file__).resolve()), str(descriptor)]


def _import_path() -> list[str]:
    """The driver's, where "" is the working directory: that of the child's start, if it is there
    still."""
    places = [place for place in sys.path if isinstance(place, str)]
    try:
        return [place or str(Path.cwd()) for place in places]
    except FileNotFoundError:
        return [place for place in places if place]


def _how(words: LastWords) -> str:
    match words.status:
        case None:
            return ""
        case int(status) if status < 0:
            return f" (killed by {signal.Signals(-status).name})"
        case status:
            return f" (exit status {status})"
