"""A run's disk that is full while a stage writes, full when its manifest is due, and read-only.

A small memory file system, where one may be mounted.
"""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.faults.small_run import SmallRun, snapshot
from w2stree.errors import RunDirectoryError

_NUM_BYTES = 16 << 20


def try_disks(folder: Path) -> dict[str, str] | None:
    """By fault, what went wrong, nothing where all was well; None where nothing may be mounted."""
    found = {}
    for number, (fault, attempt) in enumerate(_FAULTS.items()):
        with _small_disk(folder / str(number)) as disk:
            if disk is None:
                return None
            found[fault] = attempt(disk)
    return found


def _full_while_it_writes(disk: Path) -> str:
    run = SmallRun.make(disk)
    before = snapshot(run.path)
    run.taste = "spicy"
    run.before_end = lambda folder: (_fill(disk), (folder / "more").write_bytes(bytes(1 << 20)))
    try:
        run.go(("a",))
        return "did not notice"
    except OSError as error:
        if error.errno != errno.ENOSPC:
            return f"said {error}"
    if snapshot(run.path) != before:
        return "did not leave the run as it was"
    (disk / "ballast").unlink()
    return _goes_on(run)


def _full_when_the_manifest_is_due(disk: Path) -> str:
    """Hours of training are not lost for a few kB: room for the manifest was set aside."""
    run = SmallRun.make(disk)
    run.taste = "spicy"
    run.before_end = lambda folder: _fill(disk)
    ran = run.go(("a",))
    if ran != "abc" or not run.is_right():
        return f"ran {ran!r}"
    return ""


def _read_only(disk: Path) -> str:
    run = SmallRun.make(disk)
    before = run.contents()
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    try:
        run.go()
        return "was not refused"
    except RunDirectoryError as error:
        if ".lock: the run cannot be locked (Read-only file system)" not in str(error):
            return f"said {error}"
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    return "" if run.contents() == before and run.go() == "" else "changed something"


_FAULTS: dict[str, Callable[[Path], str]] = {
    "full while a stage writes": _full_while_it_writes,
    "full when the manifest is due": _full_when_the_manifest_is_due,
    "read-only": _read_only,
}


def _goes_on(run: SmallRun) -> str:
    run.before_end = None
    run.go(("a",))
    return "" if run.is_right() else "did not go on"


def _fill(disk: Path) -> None:
    with (disk / "ballast").open("wb", buffering=0) as file:
        for size in (1 << 16, 1):
            try:
                while file.write(bytes(size)):
                    pass
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
        os.fsync(file.fileno())


@contextmanager
def _small_disk(folder: Path) -> Iterator[Path | None]:
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_NUM_BYTES}", "w2stree-faults", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)
