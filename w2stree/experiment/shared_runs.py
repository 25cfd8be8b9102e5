"""A folder of runs that take finished stages from one another, and make none twice.

    runs/
      seed0/pretrain/                    made here
      seed1/pretrain/                    the same files, by hard links
      .making/pretrain-5d3c0aa1…         locked by the process that makes the stage of that key

Every run keeps all of its files: deleting one run leaves the others whole. The lock is the system's
(`flock`) and ends with its process; who waits for it looks again for a result, and makes it where
there is none.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from w2stree.errors import RunDirectoryError
from w2stree.experiment.hashes import MANIFEST
from w2stree.shorten import visible
from w2stree.trajectories.lock import take
from w2stree.trajectories.owner import MAX_BYTES, described, this_process

MAKING = ".making"


@dataclass(frozen=True, slots=True)
class SharedRuns:
    """The runs that lie in a folder, side by side."""

    folder: Path

    def refuse_none(self, run: Path) -> None:
        """`RunDirectoryError` where there is no such folder, unless `run` is about to be the first
        in it, and where it is a run itself."""
        if (self.folder / "config.json").is_file():
            raise RunDirectoryError(
                f"--share {visible(str(self.folder))}: is a run directory; give the folder that "
                "runs lie in"
            )
        if not self.folder.is_dir() and self.folder.resolve() != run.resolve().parent:
            raise RunDirectoryError(f"--share {visible(str(self.folder))}: no such folder of runs")

    def results(self, stage: str, *, but: Path) -> list[Path]:
        """Folders with a finished stage of this name, by the names of their runs, `but` one's; a
        run that is another user's alone, or is being deleted, has none."""
        there: list[Path] = []
        for run in sorted(self.folder.iterdir()):
            with suppress(OSError):
                folder = run / stage
                is_finished = not run.name.startswith(".") and (folder / MANIFEST).is_file()
                if is_finished and not run.samefile(but):
                    there.append(folder)
        return there

    @contextmanager
    def making(
        self, stage: str, key: str, *, wait: Callable[[str], None] | None = None
    ) -> Iterator[bool]:
        """Hold the making of the stage of that key. Where another process has it, wait until it
        lets go, having told `wait` who it is; without `wait` False is given, and nothing held."""
        folder = self.folder / MAKING
        file = folder / f"{stage}-{key[:16]}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = _locked(file, wait)
        except OSError as error:
            raise RunDirectoryError(
                f"{visible(str(file))}: cannot be locked ({error.strerror or error}); runs share "
                "stages only in a folder that can be written to: leave --share out"
            ) from None
        if lock is None:
            yield False
            return
        with lock:
            try:
                yield True
            finally:
                file.unlink(missing_ok=True)


def _locked(file: Path, wait: Callable[[str], None] | None) -> FileIO | None:
    """The file, locked and under its name: who held it deletes it before letting go."""
    while True:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        lock = FileIO(os.open(file, flags, 0o666), "r+b")
        try:
            if not _take(lock, wait):
                lock.close()
                return None
            if _is_under_its_name(lock, file):
                lock.truncate(0)
                lock.seek(0)
                lock.write(this_process().encode())
                return lock
        except BaseException:
            lock.close()
            raise
        lock.close()


def _is_under_its_name(lock: FileIO, file: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(lock.fileno()), file.stat())
    except FileNotFoundError:
        return False


def _take(lock: FileIO, wait: Callable[[str], None] | None) -> bool:
    try:
        take(lock)
    except BlockingIOError:
        if wait is None:
            return False
        wait(described(lock.read(MAX_BYTES)))
        take(lock, wait=True)
    return True
