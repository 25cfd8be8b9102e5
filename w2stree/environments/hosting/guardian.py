"""The guardian of an environment process: nothing of its group outlives the driver.

    driver ──requests──> child ──> JVM, parser, …        one process group
      └─────lifeline───> guardian <──stderr── child, JVM, …

It is a fork of the child, made before the engine starts, that sleeps on the lifeline: a socket
whose other end only the driver holds, so the kernel closes it however the driver ends, SIGKILL
included. The guardian then kills the group. The alternatives do less: a child that hangs (or
holds the interpreter's lock in C) does not see its own pipe close, and Linux's PR_SET_PDEATHSIG
is not passed on to a JVM, fires when the *thread* that started the child ends, and is Linux's
only. While the guardian lives, the group's id cannot be given to another group.

It also keeps what must be known when the child cannot tell any more: the last lines written to
stderr, and whether the group's memory exceeded its cap. Escapes: a process that leaves the group
(`setsid`); and a fork of the driver without exec keeps the lifeline open as long as it lives.
"""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import signal
import subprocess
from multiprocessing.connection import Connection, wait
from pathlib import Path

_MEASURE_S = 0.25
_TAIL_BYTES = 2000
_MEBIBYTE = 2**20


def start_guardian(lifeline: Connection, memory_limit_mb: int | None) -> None:
    """Fork the guardian of this process's group and give it this process's stderr to read.

    Call it before anything starts a thread or a process. The guardian answers any message on
    `lifeline` with the tail of stderr (bytes); when the group's resident memory exceeds the
    cap, it sends the cause and kills the group.
    """
    reading, writing = os.pipe()
    if os.fork() == 0:
        try:
            _keep_only(lifeline.fileno(), reading)
            _guard(lifeline, reading, memory_limit_mb)
        finally:
            os._exit(1)
    os.dup2(writing, 2)
    for descriptor in (reading, writing):
        os.close(descriptor)
    lifeline.close()


def group_memory_mb(group: int) -> float:
    """Resident memory of a process group in MiB, the calling process left out.

    A page shared by two processes counts twice. RSS, because a cap on address space
    (RLIMIT_AS) would refuse the reservations every JVM makes and never touches. Cost: on Linux
    a system call for each process of the machine; elsewhere one run of `ps`.
    """
    return _memory_by_proc(group) if Path("/proc/self/statm").exists() else _memory_by_ps(group)


def _memory_by_proc(group: int) -> float:
    own, pages = os.getpid(), 0
    for name in os.listdir("/proc"):  # noqa: PTH208 (a Path for each process costs ten times that)
        if name.isdigit() and int(name) != own:
            try:
                if os.getpgid(int(name)) == group:
                    pages += int(Path(f"/proc/{name}/statm").read_text().split()[1])
            except OSError:  # it ended meanwhile
                continue
    return pages * os.sysconf("SC_PAGE_SIZE") / _MEBIBYTE


def _memory_by_ps(group: int) -> float:
    columns = ["ps", "-axo", "pid=,pgid=,rss="]
    listed = subprocess.run(columns, capture_output=True, text=True, check=True).stdout
    rows = ([int(word) for word in line.split()] for line in listed.splitlines())
    own = os.getpid()
    kibibytes = sum(rss for pid, its_group, rss in rows if its_group == group and pid != own)
    return kibibytes / 1024


def _guard(lifeline: Connection, stderr: int, memory_limit_mb: int | None) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it outlives those it guards
    gc.disable()  # a collection would copy the pages that are shared with the child
    group, tail = os.getpgrp(), b""
    os.set_blocking(stderr, False)
    sources: list[Connection | int] = [lifeline, stderr]
    pause_s = None if memory_limit_mb is None else _MEASURE_S
    while True:
        ready = wait(sources, pause_s)
        if stderr in sources:
            written = _read(stderr)
            if written == b"":
                sources.remove(stderr)
            tail = (tail + (written or b""))[-_TAIL_BYTES:]
        if lifeline in ready:
            try:
                lifeline.recv_bytes()
                lifeline.send((None, tail))
            except (EOFError, OSError):
                break
        if memory_limit_mb is not None:
            before_s = _computed_s()
            memory_mb = group_memory_mb(group)
            # On a machine with very many processes measuring takes longer: at most 0.5 % of a
            # core. Not by the clock, or a busy machine would be measured minutes apart.
            pause_s = max(_MEASURE_S, 200 * (_computed_s() - before_s))
            if memory_mb > memory_limit_mb:
                cause = f"it uses {memory_mb:.0f} MiB; memory_limit_mb is {memory_limit_mb}"
                lifeline.send((cause, tail))
                break
    os.killpg(group, signal.SIGKILL)


def _computed_s() -> float:
    """Seconds of processor time of this process and of the runs of `ps` it waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def _read(descriptor: int) -> bytes | None:
    """All there is to read now: b"" at the end of the file, None if there is nothing yet."""
    read = None
    while True:
        try:
            chunk = os.read(descriptor, 65536)
        except BlockingIOError:
            return read
        if not chunk:
            return read or b""
        read = ((read or b"") + chunk)[-_TAIL_BYTES:]


def _keep_only(*kept: int) -> None:
    """Close every other descriptor: above all the child's end of the request pipe."""
    for name in os.listdir("/dev/fd"):  # noqa: PTH208 (the limit on their number may be a billion)
        if int(name) not in kept:
            with contextlib.suppress(OSError):  # the one that listed them
                os.close(int(name))
    for standard in range(3):
        if standard not in kept:
            os.dup2(os.open(os.devnull, os.O_RDWR), standard)
