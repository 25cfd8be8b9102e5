"""One process at a time writes to a store: whoever holds `DIR/.lock`; readers need no lock.

DIR/.lock    {"pid": 4242, "host": "gpu7", "since": "2026-11-26T08:00:00+00:00"}
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

from w2stree.errors import StoreError
from w2stree.shorten import visible
from w2stree.trajectories.lock import refuse_without, take
from w2stree.trajectories.owner import MAX_BYTES, described, this_process

_LOCK = ".lock"


def refuse_without_locks(folder: Path) -> None:
    """Raises `UnsupportedSystem` where the system has no such locks; nothing is made."""
    refuse_without(f"{visible(str(folder))}: writing to a store")


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Hold the store for this process. Raises `StoreError` where another one does, and where the
    folder cannot be written to; `UnsupportedSystem` where the system has no such locks."""
    refuse_without_locks(folder)
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        lock = FileIO(os.open(folder / _LOCK, flags, 0o666), "r+b")
    except OSError as error:
        raise StoreError(
            f"{visible(str(folder / _LOCK))}: the store cannot be locked "
            f"({error.strerror or error}): is the folder there, and yours to write to?"
        ) from None
    with lock:
        try:
            take(lock)
        except BlockingIOError:
            raise StoreError(
                f"{visible(str(folder))} is being written by {described(lock.read(MAX_BYTES))}; "
                "wait for it"
            ) from None
        with suppress(OSError):  # a full disk: whoever comes second is not told who was first
            lock.truncate(0)
            lock.write(this_process().encode())
        yield
