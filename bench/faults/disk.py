"""A disk that is full: a small file system where one may be mounted, else a limit on file sizes."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.faults.damage import episodes
from w2stree.trajectories.journal import Journal, key_of, read_journal

# Commits one episode at a time until the disk refuses, then says what it was told.
_WRITER = """
import json, resource, sys
from bench.faults.damage import episodes
from w2stree.errors import JournalError
from w2stree.trajectories.journal import Journal
path, limit = sys.argv[1], int(sys.argv[2])
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
journal, acknowledged, error, refuses_more = Journal(path), 0, "", False
stream = episodes()
try:
    for trajectory in stream:
        journal.append(trajectory)
        journal.commit()
        acknowledged += 1
except JournalError as caught:
    error = str(caught)
try:
    journal.append(next(stream))
except JournalError:
    refuses_more = True
journal.close()
print(json.dumps([acknowledged, error, refuses_more]))
"""


@dataclass(frozen=True, slots=True)
class DiskResult:
    """What happened when the disk was full, and after room was made."""

    num_acknowledged: int
    num_lost: int
    num_torn_bytes: int
    error: str
    refuses_more: bool
    goes_on_after: bool


def fill_by_limit(folder: Path, *, limit: int) -> DiskResult:
    """A file that may not grow beyond `limit` bytes (RLIMIT_FSIZE, in a process of its own)."""
    return _fill(folder / "full.journal", limit)


def fill_file_system(folder: Path, *, num_bytes: int) -> DiskResult | None:
    """A memory file system of `num_bytes`; None where this process may not mount one."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={num_bytes}", "w2stree-faults", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        return None
    try:
        ballast = folder / "ballast"
        ballast.write_bytes(bytes(num_bytes // 4))
        return _fill(folder / "full.journal", 0, ballast)
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def _fill(path: Path, limit: int, ballast: Path | None = None) -> DiskResult:
    command = [sys.executable, "-c", _WRITER, str(path), str(limit)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    num_acknowledged, error, refuses_more = json.loads(ran.stdout)
    contents = read_journal(path)
    if ballast is not None:
        ballast.unlink()
    return DiskResult(
        num_acknowledged=num_acknowledged,
        num_lost=num_acknowledged - len(contents.trajectories),
        num_torn_bytes=contents.num_torn_bytes,
        error=error,
        refuses_more=refuses_more,
        goes_on_after=_goes_on(path, num_acknowledged),
    )


def _goes_on(path: Path, num_recorded: int) -> bool:
    with Journal(path) as journal:
        if len(journal.keys) != num_recorded:
            return False
        journal.append(next(t for t in episodes() if key_of(t) not in journal.keys))
    return len(read_journal(path).trajectories) == num_recorded + 1
