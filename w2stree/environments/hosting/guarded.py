"""A program in a process group that does not outlive this process: the driver's side of it.

    driver ──lifeline──> guardian ──starts──> program ──> whatever that starts

`guardian.py` is the other side, and says why it is built so.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from w2stree.errors import UnsupportedSystem

try:
    from fcntl import F_DUPFD_CLOEXEC, fcntl

    from w2stree.environments.hosting import guardian

    _lacking = None
except ImportError as error:  # Windows: modules load, and no process is started
    _lacking = error.name

_DAY_MS = 86_400_000.0
_DEATH_S = 5.0  # for the kernel, to take a killed group away


@dataclass(frozen=True, slots=True)
class LastWords:
    """`cause`: why the guardian killed the group, if it did. `status`: the program's exit status,
    negative for a signal, None while it runs or where it is not known. `output`: the last 2,000
    bytes that the group wrote to stdout and stderr."""

    cause: str | None = None
    status: int | None = None
    output: str = ""


class GuardedGroup:
    """A running `command` with all it starts; the end of this process, however it comes, kills
    them.

    `command[0]` is a path. `inherited`: descriptors for the program; the caller closes its own.
    stdin is empty; stdout and stderr go to the guardian, which keeps their end. Raises
    `OSError` where no process can be started, `UnsupportedSystem` where none can be guarded.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        inherited: Sequence[int] = (),
        memory_limit_mb: int | None = None,
    ) -> None:
        self._is_ended = self._guardian_is_gone = False
        self._heard, self._last_words = b"", LastWords()
        # An interrupt in here leaves nothing behind: the lifeline closes with this object, and
        # what has been started ends by that.
        with forks_wait:
            self._lifeline, guardians = pair()
            _groups.add(self)
            with guardians:
                try:
                    self._guardian = _start_guardian(
                        guardians.fileno(), list(inherited), memory_limit_mb, list(command)
                    )
                except BaseException:
                    self._lifeline.close()
                    raise

    @property
    def pid(self) -> int:
        """The guardian's id, which is the group's. A SIGTERM to it is passed on to the program."""
        return self._guardian.pid

    @property
    def is_ours(self) -> bool:
        """Whether it is left to this process to end it: not in a fork, and not twice."""
        return not self._is_ended

    def ask(self, timeout_s: float) -> LastWords:
        """What the guardian knows now."""
        with contextlib.suppress(OSError):  # it is gone, but it may have left a message
            self._lifeline.send(b"?")
        return self._hear(timeout_s, is_enough=lambda: b"\n" in self._heard)

    def wait(self, timeout_s: float) -> LastWords:
        """The last words of all, once the program has ended; what is known at the deadline."""
        return self._hear(timeout_s, is_enough=lambda: False)

    def has_ended(self, timeout_s: float) -> bool:
        """Whether the program ended within that time: its guardian is gone then."""
        self.wait(timeout_s)
        return self._guardian_is_gone

    def terminate(self) -> None:
        """Ask the whole group to end, politely."""
        if not self._is_ended:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End it; safe to call twice."""
        if self._is_ended:
            return  # its group's id may be another's by now
        self._is_ended = True
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._guardian.wait(timeout=_DEATH_S)
        if os.getpid() == 1:
            _reap(self.pid)
        self._lifeline.close()

    def forget(self) -> None:
        """In a fork of the driver: the group is the driver's, and ends with it alone."""
        self._is_ended = True
        self._lifeline.close()

    def _hear(self, timeout_s: float, *, is_enough: Callable[[], bool]) -> LastWords:
        due = time.monotonic() + timeout_s
        with contextlib.suppress(OSError):  # closed meanwhile: `kill` in another thread
            while not is_enough():
                if not wait_for(self._lifeline, select.POLLIN, due):
                    break
                if not (chunk := self._lifeline.recv(65536)):
                    self._guardian_is_gone = True
                    break
                self._heard += chunk
        *lines, self._heard = self._heard.split(b"\n")
        if lines:
            self._last_words = LastWords(**json.loads(lines[-1]))
        return self._last_words


def pair() -> tuple[socket.socket, socket.socket]:
    """A socket pair of which the second is for another process: not one of the standard three,
    which are free where the driver was started without them. Raises `UnsupportedSystem` where no
    process can be guarded."""
    if _lacking is not None:
        raise UnsupportedSystem(
            "a process of its own, for an environment or a training, needs the process groups of "
            f"Linux and macOS (Python's {_lacking}), which this system ({sys.platform}) does not "
            "have; on Windows, run it in WSL"
        )
    own, others = socket.socketpair()
    if others.fileno() < 3:
        moved = socket.socket(fileno=fcntl(others.fileno(), F_DUPFD_CLOEXEC, 3))
        others.close()
        return own, moved
    return own, others


def wait_for(end: socket.socket, event: int, due: float) -> bool:
    """Whether `event` (`select.POLLIN`, `select.POLLOUT`) came before the time `due`. Raises
    `OSError` where `end` is closed, in another thread perhaps."""
    if (descriptor := end.fileno()) < 0:
        raise OSError(errno.EBADF, "the socket is closed")
    poll = select.poll()
    poll.register(descriptor, event)
    while True:
        left_ms = 1000 * (due - time.monotonic())
        if poll.poll(min(max(0.0, left_ms), _DAY_MS)):  # it counts in 32 bits
            return True
        if left_ms <= _DAY_MS:
            return False


def _reap(group: int) -> None:
    """The first process of a container inherits what a killed group leaves: nobody else waits for
    it, and the dead count against the limit of processes."""
    due = time.monotonic() + _DEATH_S
    with contextlib.suppress(ChildProcessError):  # all are gone
        while time.monotonic() < due:
            if os.waitpid(-group, os.WNOHANG) == (0, 0):
                time.sleep(0.01)


def _start_guardian(
    lifeline: int, inherited: list[int], memory_limit_mb: int | None, command: list[str]
) -> subprocess.Popen[bytes]:
    given = json.dumps(
        {
            "lifeline": lifeline,
            "inherited": inherited,
            "memory_limit_mb": memory_limit_mb,
            "command": command,
        }
    )
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(Path(guardian.__file__).resolve()), given],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=[lifeline, *inherited],
        start_new_session=True,
    )


# A fork of the driver without exec would hold the lifelines open as long as it lives: it closes
# its copies first of all. And it waits while a process is started, whose other ends of pipes it
# would copy: neither Popen nor we would ever see those close.
forks_wait = threading.RLock()
_groups: weakref.WeakSet[GuardedGroup] = weakref.WeakSet()


def _forget_all() -> None:
    forks_wait.release()
    for group in list(_groups):
        group.forget()


if hasattr(os, "register_at_fork"):  # where there are forks
    os.register_at_fork(
        before=forks_wait.acquire,
        after_in_parent=forks_wait.release,
        after_in_child=_forget_all,
    )
