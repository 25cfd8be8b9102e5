"""What files hold, by SHA-256; what the system has not touched since is not read again.

    RUN_DIR/.hashes.json    {"2049:1315": [4096, 1764…, 1764…, "5d3c0aa1…"], …}
                              │    │        │     │      └ change time, ns
                              │    inode    │     └ modification time, ns
                              device        size

A file's modification time is whatever its last copier set (`rsync -t`, `tar`, `cp -p`); its change
time is the system's alone. A hash counts as long as device, inode, size and both times are what
they were, and only where the change time was two seconds old when the file was read: two changes
within one tick of a file system's clock cannot be told apart by it, and 2 s is the coarsest. The
file is a cache: without it everything is read again.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from w2stree.errors import RunDirectoryError
from w2stree.shorten import visible
from w2stree.trajectories.replacing import replacing

KEPT = ".hashes.json"
MANIFEST = "manifest.json"

TICK_NS = 2 * 10**9

Seen = tuple[int, int, int]
"""Size, modification time, change time."""


class Hashes:
    """Hashes of files, remembered in `kept` where it is given."""

    def __init__(self, kept: Path | None = None) -> None:
        self._kept = kept
        self._known = {} if kept is None else _read(kept)
        self._is_changed = False

    def of_file(self, file: Path) -> str:
        """SHA-256 of a file; 1 to 2 GB/s where it has to be read."""
        with file.open("rb") as stream:
            now, before = time.time_ns(), os.fstat(stream.fileno())
            key, seen = f"{before.st_dev}:{before.st_ino}", _seen(before)
            known = self._known.get(key)
            if known is not None and known[0] == seen:
                return known[1]
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            is_settled = now - before.st_ctime_ns > TICK_NS
            if is_settled and _seen(os.fstat(stream.fileno())) == seen:
                self._known[key] = seen, digest
                self._is_changed = True
        return digest

    def of_files(self, folder: Path) -> dict[str, str]:
        """SHA-256 of every file below a folder but its manifest, by relative path; or of one file.

        Raises `RunDirectoryError` for a link that leads nowhere, a name that is not UTF-8, and
        where there is nothing.
        """
        if folder.is_file():
            return {named(folder.name, folder): self.of_file(folder)}
        return {
            named(str(relative), folder / relative): self.of_file(folder / relative)
            for relative in files_below(folder)
        }

    def keep(self) -> None:
        """Write down what is known; a disk that is full costs a second reading, no more."""
        if self._kept is None or not self._is_changed:
            return
        record = {key: [*seen, digest] for key, (seen, digest) in self._known.items()}
        with suppress(OSError), replacing(self._kept) as file:
            file.write(json.dumps(record) + "\n")
            self._is_changed = False


def hash_files(folder: Path) -> dict[str, str]:
    """`Hashes.of_files`, all of it read."""
    return Hashes().of_files(folder)


def files_below(folder: Path) -> list[Path]:
    """Relative paths of the files below a folder but its manifest, through links too, sorted.

    A link to a folder that it lies in is passed over: its files are there already.
    """
    if not folder.is_dir():
        raise RunDirectoryError(f"{visible(str(folder))}: {absence(folder)}")
    found: list[Path] = []
    pending = [(folder, frozenset({_identity(folder)}))]
    while pending:
        parent, above = pending.pop()
        for path in parent.iterdir():
            if path.is_dir():
                if (identity := _identity(path)) not in above:
                    pending.append((path, above | {identity}))
            elif path.is_file():
                found.append(path.relative_to(folder))
            elif path.is_symlink() and not path.name.startswith("."):
                raise RunDirectoryError(f"{visible(str(path))}: {absence(path)}")
    return sorted(path for path in found if str(path) != MANIFEST)


def named(name: str, path: Path) -> str:
    """The name, which can be written down; `RunDirectoryError` where it is not UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise RunDirectoryError(
            f"{visible(str(path))}: the file's name is not UTF-8, so no manifest can name it; "
            "rename it, then run the same command again"
        ) from None
    return name


def absence(path: Path) -> str:
    """Why there is nothing at a path."""
    if path.is_symlink():
        return f"a link to {visible(str(path.readlink()))}, which is not there"
    return "no such folder or file"


def _identity(folder: Path) -> tuple[int, int]:
    stat = folder.stat()
    return stat.st_dev, stat.st_ino


def _seen(stat: os.stat_result) -> Seen:
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def _read(kept: Path) -> dict[str, tuple[Seen, str]]:
    """What an earlier run knew; nothing where that cannot be read."""
    with suppress(OSError, ValueError, RecursionError):
        record = json.loads(kept.read_bytes())
        if isinstance(record, dict):
            return {key: entry for key, value in record.items() if (entry := _entry(value))}
    return {}


def _entry(value: Any) -> tuple[Seen, str] | None:
    match value:
        case [int(size), int(modified), int(changed), str(digest)]:
            return (size, modified, changed), digest
        case _:
            return None
