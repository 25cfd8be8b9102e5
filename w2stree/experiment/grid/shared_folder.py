"""Whether another machine has the same folder of run directories under its path, and its locks.

    driver: holds RUNS/.lock ── path, its line ──> machine: finds that line there, and the lock held

Cells take stages from one another by files there and make none twice by locks there: a copy of the
folder, or one whose locks end at the machine, would have them all made again, and written at once.
"""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from w2stree.errors import RunDirectoryError
from w2stree.experiment.run_lock import LOCK
from w2stree.shorten import visible
from w2stree.trajectories.lock import take
from w2stree.trajectories.owner import MAX_BYTES

_LATE_S = 60.0
"""A network file system may take so long to show a new file elsewhere (NFS, `acdirmax`)."""
_LOOK_S = 0.5


@dataclass(frozen=True, slots=True)
class SharedFolder:
    """A folder that this process holds (`run_lock.holding`), to be known again elsewhere."""

    path: Path
    owner: bytes
    """What its lock says."""

    @classmethod
    def held_here(cls, path: Path) -> SharedFolder:
        return cls(path, (path / LOCK).read_bytes())

    def refuse_other(self) -> None:
        """Raises `RunDirectoryError` where what this machine has there is not that folder, or is
        without its locks; a new file's lateness is waited for."""
        due = time.monotonic() + _LATE_S
        while wrong := self._wrong():
            if time.monotonic() > due:
                raise RunDirectoryError(
                    f"{socket.gethostname()}: {visible(str(self.path))} is not the folder of this "
                    f"experiment's runs: {wrong}; cells on several machines share it and its "
                    "locks: give --runs a folder of a file system that all of them have, under one "
                    "path and with flock"
                )
            time.sleep(_LOOK_S)
        if self._can_be_had():
            raise RunDirectoryError(
                f"{socket.gethostname()}: {visible(str(self.path))}: the lock that this "
                "experiment's driver holds is not seen here, and two machines would write one "
                "run: mount the file system with locks for the whole cluster (NFS: without nolock "
                "or local_lock; Lustre: flock)"
            )

    def _wrong(self) -> str:
        try:
            owner = (self.path / LOCK).read_bytes()[:MAX_BYTES]
        except OSError as error:
            return f"{LOCK} cannot be read there ({error.strerror or error})"
        return "" if owner == self.owner else f"another {LOCK} lies there"

    def _can_be_had(self) -> bool:
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
        with FileIO(os.open(self.path / LOCK, flags), "r+b") as lock:
            try:
                take(lock)
            except BlockingIOError:
                return False
            return True
