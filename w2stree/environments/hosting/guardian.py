"""The guardian of an environment process: nothing of its group outlives the driver.

    driver ──requests──> child ──> JVM, parser, …                 one process group,
      └─────lifeline───> guardian <──stdout, stderr── child, JVM, …   led by the guardian

It is a program of its own: the driver starts the guardian, and the guardian the child. Run as a
file, without `site` and the user's paths (`python -I -S guardian.py`), it needs a hundredth of a
second and none of the user's code before it listens, so there is no moment in which a child
could be left behind: whatever hangs while the child comes up has a guardian already.

The guardian sleeps on the lifeline: a socket whose other end only the driver holds, so the kernel
closes it however the driver ends, SIGKILL included. The guardian then kills the group. The
alternatives do less: a child that hangs (or holds the interpreter's lock in C) does not see its
own pipe close, and Linux's PR_SET_PDEATHSIG is not passed on to a JVM, fires when the *thread*
that started the child ends, and is Linux's only. While the guardian lives, the group's id cannot
be given to another group.

It also keeps what must be known when the child cannot tell any more: how it ended, the last lines
it wrote, and whether the group's memory exceeded its cap. When the child ends, so does whatever
it started. Escapes: a process that leaves the group (`setsid`), and whoever kills the guardian.

    {"lifeline": 5, "inherited": [7], "memory_limit_mb": 512, "command": ["/usr/bin/python3", …]}

is its only argument: the descriptors of the lifeline and of what is the child's alone, and the
child's command. On the lifeline it answers any byte with a line, its last words:

    {"cause": null, "status": null, "output": "the last 2,000 bytes that the group wrote"}

and sends one unasked when the child has ended (`status`, negative for a signal) or when it kills
the group for a `cause`.
"""

# The standard library alone, and little of it: this file is run where nothing else can be found.
from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any

_MEASURE_S = 0.25
_TAIL_BYTES = 2000
_PIPE_BYTES = 2**20  # more than any holds unless it is told to
_MEBIBYTE = 2**20
# Ignored by Python or by the guardian, and so by what they start unless it is told otherwise.
_USUAL_AGAIN = (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ)


class Guardian:
    """Starts the child and watches over its group, of which this process is the leader."""

    def __init__(
        self,
        lifeline: int,
        inherited: Sequence[int],
        memory_limit_mb: int | None,
        command: list[str],
    ) -> None:
        os.set_inheritable(lifeline, False)
        self._lifeline, self._memory_limit_mb = lifeline, memory_limit_mb
        self._tail = b""
        self._hearing, writing = os.pipe()
        self._signals, signalling = os.pipe()
        for descriptor in (self._hearing, self._signals, signalling):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(signalling, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # told by the descriptor above
        # The guardian outlives those it guards. SIGINT is ignored by them too: Ctrl-C is the
        # driver's to handle.
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        try:
            self._child = _spawn(command, output=writing)
        except OSError as error:
            self._tell(cause=f"{command[0]} cannot be started: {error}")
            raise
        signal.signal(signal.SIGTERM, lambda *_: self._pass_on(signal.SIGTERM))
        for descriptor in (writing, *inherited):
            os.close(descriptor)

    def watch(self) -> None:
        """Until the driver is gone, the child has ended, or the group takes too much memory."""
        ready = select.poll()
        for descriptor in (self._lifeline, self._hearing, self._signals):
            ready.register(descriptor, select.POLLIN)
        pause_s = None if self._memory_limit_mb is None else _MEASURE_S
        while True:
            events = {descriptor for descriptor, _ in ready.poll(pause_s and 1000 * pause_s)}
            if self._hearing in events and not self._hear():
                ready.unregister(self._hearing)
            if self._signals in events and (status := self._status()) is not None:
                self._hear()
                return self._tell(status=status)
            if self._lifeline in events:
                if not os.read(self._lifeline, 64):
                    return None
                self._tell()
            if self._memory_limit_mb is not None:
                before_s = _computed_s()
                try:
                    memory_mb = group_memory_mb(os.getpgrp())
                except OSError as error:
                    what = f"its memory cannot be measured ({error})"
                    return self._tell(cause=f"{what}; memory_limit_mb: null asks for no limit")
                # On a machine with very many processes measuring takes longer: at most 0.5 % of a
                # core. Not by the clock, or a busy machine would be measured minutes apart.
                pause_s = max(_MEASURE_S, 200 * (_computed_s() - before_s))
                if memory_mb > self._memory_limit_mb:
                    cap = f"memory_limit_mb is {self._memory_limit_mb}"
                    return self._tell(cause=f"it uses {memory_mb:.0f} MiB; {cap}")

    def _status(self) -> int | None:
        """How the child ended; None while it runs."""
        os.read(self._signals, 4096)
        pid, status = os.waitpid(self._child, os.WNOHANG)
        return os.waitstatus_to_exitcode(status) if pid else None

    def _hear(self) -> bool:
        """Read what the pipe holds; False when nothing can come any more. Once, not until it is
        empty: a group that writes without end would keep us from the lifeline."""
        try:
            chunk = os.read(self._hearing, _PIPE_BYTES)
        except BlockingIOError:
            return True
        self._tail = (self._tail + chunk)[-_TAIL_BYTES:]
        return bool(chunk)

    def _tell(self, *, cause: str | None = None, status: int | None = None) -> None:
        output = self._tail.decode(errors="replace")
        line = json.dumps({"cause": cause, "status": status, "output": output})
        os.write(self._lifeline, f"{line}\n".encode())

    def _pass_on(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._child, number)


def _spawn(command: list[str], *, output: int) -> int:
    return os.posix_spawn(
        command[0],
        command,
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, output, 1),
            (os.POSIX_SPAWN_DUP2, output, 2),
        ],
        setsigmask=(),
        setsigdef=_USUAL_AGAIN,
    )


def group_memory_mb(group: int) -> float:
    """Resident memory of a process group in MiB, the calling process left out.

    A page shared by two processes counts twice. RSS, because a cap on address space
    (RLIMIT_AS) would refuse the reservations every JVM makes and never touches. Cost: on Linux
    a system call for each process of the machine; elsewhere one run of `ps`. `OSError` where that
    fails.
    """
    proc = os.path.exists("/proc/self/statm")  # noqa: PTH110 (pathlib takes longer than the rest)
    return _memory_by_proc(group) if proc else _memory_by_ps(group)


def _memory_by_proc(group: int) -> float:
    own, pages = os.getpid(), 0
    for name in os.listdir("/proc"):  # noqa: PTH208 (a Path for each process costs ten times that)
        if name.isdigit() and int(name) != own:
            try:
                if os.getpgid(int(name)) == group:
                    with open(f"/proc/{name}/statm", "rb") as statm:  # noqa: PTH123
                        pages += int(statm.read().split()[1])
            except OSError:  # it ended meanwhile
                continue
    return pages * os.sysconf("SC_PAGE_SIZE") / _MEBIBYTE


def _memory_by_ps(group: int) -> float:
    import subprocess  # as long to load as the rest together, and not for Linux

    columns = ["ps", "-axo", "pid=,pgid=,rss="]
    ended = subprocess.run(columns, capture_output=True, text=True)
    if ended.returncode:
        raise OSError(f"ps ended with status {ended.returncode}: {ended.stderr.strip()}")
    rows = ([int(word) for word in line.split()] for line in ended.stdout.splitlines())
    own = os.getpid()
    kibibytes = sum(rss for pid, its_group, rss in rows if its_group == group and pid != own)
    return kibibytes / 1024


def _computed_s() -> float:
    """Seconds of processor time of this process and of the runs of `ps` it waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def main() -> None:
    if os.getpgrp() != os.getpid():
        sys.exit("the guardian kills its group: it is started by w2stree, in one of its own")
    given: Mapping[str, Any] = json.loads(sys.argv[1])
    try:
        Guardian(**given).watch()
    except OSError:
        pass  # the driver is gone in the middle of a word, or was told why there is no child
    finally:
        os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    main()
