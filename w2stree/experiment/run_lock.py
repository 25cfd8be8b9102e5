"""One process at a time in a run's directory: whoever holds `.lock` writes, nobody else does.

    RUN_DIR/.lock    {"pid": 4242, "host": "gpu7", "since": "2026-11-26T08:00:00+00:00"}

The lock is the system's (`flock`) and ends with its process, however that ends; what the file says
is for the message of who comes second.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from w2stree.errors import RunDirectoryError
from w2stree.shorten import visible
from w2stree.trajectories.lock import refuse_without, take
from w2stree.trajectories.owner import MAX_BYTES, described, this_process

LOCK = ".lock"


@contextmanager
def holding(path: Path, *, option: str = "--run-dir") -> Iterator[None]:
    """Hold the run in a folder, which must be there, for this process.

    Raises `RunDirectoryError` where another process or another thread holds it, and where the
    folder cannot be written to; `UnsupportedSystem` where the system has no such locks.
    `option`: of the command line, that another folder is given by.
    """
    refuse_without(f"{visible(str(path))}: a run")
    file = path / LOCK
    try:
        # Neither through a link nor waiting for a FIFO's other end.
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(file, flags, 0o666)
    except OSError as error:
        raise _cannot(file, error, option) from None
    with FileIO(descriptor, "r+b") as lock:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise RunDirectoryError(f"{visible(str(file))}: is no file; move it away")
        try:
            take(lock)
        except BlockingIOError:
            raise RunDirectoryError(
                f"{visible(str(path))} is in use by {described(lock.read(MAX_BYTES))}; wait for "
                f"it, or use another {option}"
            ) from None
        except OSError as error:
            raise _cannot(file, error, option) from None
        try:
            lock.truncate(0)
            lock.write(this_process().encode())
        except OSError:
            pass  # a full disk: whoever comes second is not told who was first
        yield


def _cannot(file: Path, error: OSError, option: str) -> RunDirectoryError:
    return RunDirectoryError(
        f"{visible(str(file))}: the run cannot be locked ({error.strerror or error}); choose a "
        f"{option} that can be written to"
    )
