"""Files into a store: each is read as the commands read it, then its bytes are kept.

paths ──> files ──readable?──yes──> bytes, and its runs in columns ──commit──> added, or known
                      └─no─> refused, with the reason; nothing of it is kept
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from w2stree.errors import InvalidInput, StoreError
from w2stree.formats import FORMATS
from w2stree.formats.dataset_folder import DESCRIPTIONS
from w2stree.formats.reading import SUFFIXES, Imported, read_files
from w2stree.shorten import visible
from w2stree.store.catalogue import Catalogue, is_store
from w2stree.store.names import name_of
from w2stree.store.records import is_packed
from w2stree.store.runs import RunColumns, columns_of
from w2stree.store.store import SEGMENTS
from w2stree.store.writer import Writer
from w2stree.store.writing_lock import refuse_without_locks, writing
from w2stree.trajectories.files import instead_of_files
from w2stree.trajectories.folder import entries

_COMMIT_BYTES = 1 << 28  # of sources that wait
_BESIDE = {name for known in FORMATS for name in known.beside} | {*DESCRIPTIONS}
OWN = "w2stree"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a file: `added`, `known` (the same bytes are there), or `refused` with the
    reason. `is_packed`: nothing in it could be shared with others."""

    file: Path
    name: str
    what: Literal["added", "known", "refused"]
    num_bytes: int = 0
    num_runs: int | None = None
    reason: str = ""
    is_packed: bool = False


def add(
    folder: str | os.PathLike[str],
    paths: Iterable[str | os.PathLike[str]],
    *,
    reads: bool = True,
    recursive: bool = False,
    **reading: Any,
) -> Iterator[Outcome]:
    """Add files, and the files of runs in folders, to a store, which is made where there is none.

    What is given out is acknowledged: on the disk, whatever ends the process from then on. Each
    file is read first, as `w2stree.formats.reading.read_files` does with `reading` (`format`,
    `choices`, `on_error`, …), and refused where that refuses it; with `reads=False` its bytes are
    taken as they are, and its runs are unknown until it is added again. A file that is read with
    runs (SWE-bench's report) is kept without runs of its own. Memory: the pieces of the store, and
    the runs of a file.

    Raises `StoreError` where the folder is in use, is something else, is damaged, or the disk is
    full; `FileNotFoundError` for a path that is not there, or a folder without files of runs,
    before anything is written.
    """
    files = list(_files(map(Path, paths), recursive))
    path = Path(folder)
    refuse_without_locks(path)
    _make(path)
    with writing(path):
        catalogue = Catalogue(path, writes=True)
        try:
            writer = Writer(path / SEGMENTS, catalogue)
            waiting: list[Outcome] = []
            for file in files:
                waiting.append(_add(writer, file, reads, reading))
                if writer.num_waiting >= _COMMIT_BYTES:
                    writer.commit()
                    yield from waiting
                    waiting.clear()
            writer.commit()
            yield from waiting
        finally:
            catalogue.close()


def _make(path: Path) -> None:
    if not is_store(path):
        # A writer that was ended at once leaves those two.
        if path.exists() and (
            not path.is_dir() or {p.name for p in path.iterdir()} - {SEGMENTS, ".lock"}
        ):
            raise StoreError(
                f"{visible(str(path))}: no store, and not empty: give a new folder, or a store"
            )
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"{visible(str(path))}: cannot be made ({error.strerror or error})"
            ) from None
    (path / SEGMENTS).mkdir(exist_ok=True)


def _files(paths: Iterable[Path], recursive: bool) -> Iterator[Path]:
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"{path}: no such file or directory")
        if not path.is_dir():
            yield path
            continue
        found, passed_over = [], []
        for entry in entries(path, recursive=recursive, more=SUFFIXES):
            if isinstance(entry, Path):
                found.append(entry)
            elif entry.path.name in _BESIDE and entry.path.is_file():
                found.append(entry.path)
            else:
                passed_over.append(entry)
        if not found:
            raise FileNotFoundError(f"{path}: no files of runs{instead_of_files(passed_over)}")
        yield from found


def _add(writer: Writer, file: Path, reads: bool, reading: dict[str, Any]) -> Outcome:
    name = visible(str(file))
    try:
        name = name_of(file)
        before = file.stat()
        runs = _runs_of(file, reading) if reads else None
        is_new = writer.add(file, name, runs, as_of=before)
    except (InvalidInput, OSError) as error:
        return Outcome(file, name, "refused", reason=str(error))
    return Outcome(
        file,
        name,
        "added" if is_new else "known",
        before.st_size,
        None if runs is None else runs.num_runs,
        is_packed=is_packed(file),
    )


def _runs_of(file: Path, reading: dict[str, Any]) -> RunColumns:
    if file.name in _BESIDE:
        return RunColumns(0, "beside", ((),) * 5)
    read: Imported = read_files(file, **reading)
    (read_as,) = read.formats.values() or (OWN,)
    return columns_of(read.reading.trajectories, read.reading.places, str(file), read_as)
