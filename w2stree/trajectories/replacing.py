"""Whole files or none: the one way a file is written that somebody may read.

.name.5f1c….partial ── fsync ── rename ──> name        then the folder is synced
  └ removed on any error: the old file stays as it was
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal

from w2stree.errors import InvalidInput
from w2stree.shorten import visible

_DIGITS = 16
_USUAL = 0o666  # permissions of any new file, less the umask


@contextmanager
def replacing(path: str | os.PathLike[str], mode: Literal["w", "wb"] = "w") -> Iterator[IO[Any]]:
    """A file to write, UTF-8 text or (`wb`) bytes, that takes `path`'s place once the block ends.

    All or nothing, also through a power cut. The block may be left by any error: the old file
    stays, nothing is left beside it. Writers at once do not see each other; the last to end
    wins. A killed process leaves its hidden temporary file, which nobody reads (`leftovers`). The
    permissions are those of the file that was there, from the first byte on; else the usual ones.
    Raises `InvalidInput` for a pipe, socket or device at `path`, and for a link to an open stream
    (/dev/stdout): a rename would put a file in its place. An `OSError` of the writing names `path`.
    Cost: the writing, and two syncs (milliseconds).
    """
    target = Path(path)
    partial = _partial(target)
    try:
        refuse_stream(target)
        permissions = permissions_at(target)
        # A new file by its own mode: never another writer's.
        file = open(  # noqa: SIM115 (closed below; Path.open takes no opener)
            partial,
            "xb" if mode == "wb" else "x",
            encoding=_encoding(mode),
            opener=lambda name, flags: open_new(name, flags, permissions),
        )
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


def refuse_stream(path: Path) -> None:
    """Raises `InvalidInput` for a pipe, socket or device, and for a link to an open stream."""
    if _is_stream(path):
        raise InvalidInput(
            f"{visible(str(path))}: a pipe, socket or device, and no file; a whole file would be "
            "put in its place: write to a file's name, and copy that"
        )


def open_new(path: str | os.PathLike[str], flags: int, permissions: int | None) -> int:
    """The descriptor of a file that is made here, with these permissions from the beginning,
    whatever the umask; None for the usual ones."""
    descriptor = os.open(path, flags | os.O_EXCL, _USUAL if permissions is None else permissions)
    try:
        if permissions not in (None, permissions_of(os.fstat(descriptor))):
            Path(path).chmod(permissions)  # what the umask took
    except BaseException:
        os.close(descriptor)
        Path(path).unlink(missing_ok=True)
        raise
    return descriptor


def permissions_of(status: os.stat_result) -> int:
    """Who may read, write and run a file; set-user-id and its like are left out."""
    return stat.S_IMODE(status.st_mode) & 0o777


def permissions_at(path: Path) -> int | None:
    """Of what is there; None where nothing is yet."""
    try:
        return permissions_of(path.stat())
    except OSError:  # what else is wrong the writing tells
        return None


def _is_stream(path: Path) -> bool:
    try:
        if path.is_symlink() and _is_of_descriptors(path.parent / path.readlink().parent):
            return True
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _is_of_descriptors(folder: Path) -> bool:
    """Whether it is /dev/fd, or /proc/self/fd: a stream's link leads there, also where the shell
    has put a file behind it."""
    parts = Path(os.path.realpath(folder)).parts
    return parts[-1] == "fd" and parts[1] in ("proc", "dev")


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
