"""Whole files or none: the one way a file is written that somebody may read.

.name.5f1c….partial ── fsync ── rename ──> name        then the folder is synced
  └ removed on any error: the old file stays as it was
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal

_DIGITS = 16


@contextmanager
def replacing(path: str | os.PathLike[str], mode: Literal["w", "wb"] = "w") -> Iterator[IO[Any]]:
    """A file to write, UTF-8 text or (`wb`) bytes, that takes `path`'s place once the block ends.

    All or nothing, also through a power cut. The block may be left by any error: the old file
    stays, nothing is left beside it. Writers at once do not see each other; the last to end
    wins. A killed process leaves its hidden temporary file, which nobody reads (`leftovers`). An
    `OSError` of the writing names `path`. Cost: the writing, and two syncs (milliseconds).
    """
    target = Path(path)
    partial = _partial(target)
    try:
        # A new file by its own mode: the usual permissions, and never another writer's.
        file = partial.open("xb" if mode == "wb" else "x", encoding=_encoding(mode))
        try:
            with file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            partial.replace(target)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        sync_directory(target.parent)
    except OSError as error:
        if error.errno is None or error.filename not in (None, str(partial), partial):
            raise  # of another file, which the block read
        raise OSError(error.errno, error.strerror, str(target)) from error


def sync_directory(path: Path) -> None:
    """Makes what was created or renamed in a directory last through a power cut, where
    directories can be synced."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def leftovers(path: Path) -> list[Path]:
    """Temporary files of writers of `path`: of killed ones, where nobody writes it now."""
    stem, end = _around(path)
    found = (p for p in path.parent.iterdir() if p.name.startswith(stem) and p.name.endswith(end))
    return sorted(p for p in found if len(p.name) == len(stem) + _DIGITS + len(end))


def _partial(target: Path) -> Path:
    stem, end = _around(target)
    return target.with_name(f"{stem}{secrets.token_hex(_DIGITS // 2)}{end}")


def _around(target: Path) -> tuple[str, str]:
    """A hidden name beside the target's, before and after its digits: the beginning of that one,
    as far as names may be long."""
    end = ".partial"
    name = os.fsencode(target.name)[: 253 - _DIGITS - len(end)].decode("utf-8", "ignore")
    return f".{name}.", end


def _encoding(mode: str) -> str | None:
    return None if mode == "wb" else "utf-8"
