"""A store open for reading, and what changes it: `add` (w2stree.store.adding), `remove`, `gc`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from w2stree.errors import InvalidInput, StoreError
from w2stree.shorten import quoted, visible
from w2stree.store.catalogue import FILE, Catalogue, SourceRow, is_store
from w2stree.store.names import older_name, path_within
from w2stree.store.reader import Reader
from w2stree.store.runs import StoredRun, stored_runs
from w2stree.store.segment import remove_others
from w2stree.store.writing_lock import writing
from w2stree.trajectories.replacing import replacing

SEGMENTS = "segments"
_SHOWN_COLUMNS = 200


@dataclass(frozen=True, slots=True)
class Source:
    """A file that a store holds, by one of its names.

    `digest`: SHA-256 of its bytes. `num_runs`, `format`: of its runs; None where it was not read.
    `is_newest`: of the sources by this name, the one that was added last.
    """

    name: str
    digest: bytes
    num_bytes: int
    num_records: int
    num_runs: int | None
    format: str | None
    is_newest: bool
    row: SourceRow


@dataclass(frozen=True, slots=True)
class Collected:
    """What `gc` removed: segments, and files of ended writers; and the bytes of both."""

    num_segments: int
    num_bytes: int


class Store:
    """A store of runs as it was when it was opened, whoever writes meanwhile; use it with `with`.

    Opening reads the catalogue: O(sources), milliseconds for thousands; segments are mapped when
    they are asked for. Raises `StoreError` for a folder that is no store, or a damaged one.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        if not is_store(self.folder):
            what = "no store" if self.folder.is_dir() else "no such folder"
            raise StoreError(
                f"{visible(str(self.folder))}: {what} (there is no {FILE}); w2stree store add "
                "makes one"
            )
        self._catalogue = Catalogue(self.folder)
        try:
            with self._catalogue.snapshot():
                self._rows = {row.id: row for row in self._catalogue.sources()}
                self._names = self._catalogue.names()
                self._reader = Reader(self.folder / SEGMENTS, self._catalogue.segments())
                counts = self._catalogue.all("SELECT source, num_runs, format FROM runs")
        except BaseException:
            self._catalogue.close()
            raise
        self._counts = {source: (num_runs, name) for source, num_runs, name in counts}

    def close(self) -> None:
        self._catalogue.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def sources(self) -> list[Source]:
        """In the order of their names; of several by one name the newest last."""
        newest = dict(self._names)
        made = []
        for name, number in self._names:
            row = self._rows[number]
            num_runs, read_as = self._counts.get(number, (None, None))
            is_newest = newest[name] == number
            made.append(
                Source(
                    name, row.digest, row.num_bytes, row.num_records, num_runs, read_as, is_newest,
                    row,
                )
            )  # fmt: skip
        return made

    def source(self, name: str) -> Source:
        """The newest by this name. Raises `InvalidInput` where there is none."""
        for source in self.sources():
            if source.name == name and source.is_newest:
                return source
        names = ", ".join(sorted({name for name, _ in self._names})[:5]) or "none"
        raise InvalidInput(
            f"{visible(str(self.folder))}: no source {quoted(name, _SHOWN_COLUMNS)}; there are "
            f"{visible(names)}{', …' if len(set(self._names)) > 5 else ''} (w2stree store ls "
            "--sources)"
        )

    def runs(self, source: Source) -> list[StoredRun]:
        """A source's runs; none of one that was not read. Raises `StoreError`."""
        return stored_runs(self._catalogue, source.row.id, source.name)

    def read(self, source: Source) -> Iterator[bytes]:
        """The source's bytes, record by record.

        Raises `StoreError` naming the segment where one is damaged, and at the end where all
        together are not what was added: what came before is then not to be used.
        """
        digest = sha256()
        for record in self._reader.records(source.row.first_record, source.row.num_records):
            digest.update(record)
            yield record
        if digest.digest() != source.digest:
            raise StoreError(
                f"{visible(str(self.folder))}: {quoted(source.name, _SHOWN_COLUMNS)} is not what "
                f"was added: its bytes have another digest than {source.digest.hex()[:12]}…"
            )

    def record(self, place: str) -> bytes:
        """The bytes of the run at `NAME:LINE`, its line end with it.

        Raises `InvalidInput` for a place that names no line of a source, and for a run of a file
        that has no lines for runs (a table, a zip, one JSON text): export the source.
        """
        name, colon, number = place.rpartition(":")
        if not colon or not number.isdecimal():
            raise InvalidInput(
                f"{quoted(place, _SHOWN_COLUMNS)}: give NAME:LINE; a run of a table, a zip or one "
                "JSON text has no bytes of its own: export its source"
            )
        source = self.source(name)
        if not source.row.is_lines:
            raise InvalidInput(
                f"{quoted(name, _SHOWN_COLUMNS)} is no file of lines: export it whole (--source)"
            )
        if not 1 <= int(number) <= source.num_records:
            raise InvalidInput(
                f"{quoted(place, _SHOWN_COLUMNS)}: {visible(name)} has {source.num_records:,} lines"
            )
        first = source.row.first_record + int(number) - 1
        return next(self._reader.records(first, 1))

    def export(
        self,
        folder: str | os.PathLike[str],
        sources: Sequence[Source] | None = None,
        *,
        force: bool = False,
    ) -> list[Path]:
        """Write sources (default: all) into a folder by their names, each byte for byte and all or
        nothing; an older one of a name as runs.DIGEST.jsonl. The files, in the sources' order.

        Raises `InvalidInput` where one of the files is there, unless `force`: then nothing was
        written; `StoreError` for damage; `OSError`.
        """
        chosen = self.sources() if sources is None else sources
        files = [
            path_within(Path(folder), s.name if s.is_newest else older_name(s.name, s.digest))
            for s in chosen
        ]
        if not force and (there := [file for file in files if file.exists()]):
            raise InvalidInput(
                f"{visible(str(there[0]))} is there: write it over with --force, or name another "
                "folder"
            )
        for source, file in zip(chosen, files, strict=True):
            file.parent.mkdir(parents=True, exist_ok=True)
            with replacing(file, "wb") as opened:
                opened.writelines(self.read(source))
        return files

    def damage(self) -> Iterator[tuple[Source, str]]:
        """Reads everything: each source that is not what was added, and why."""
        for source in self.sources():
            try:
                for _ in self.read(source):
                    pass
            except StoreError as error:
                yield source, str(error)


def remove(folder: str | os.PathLike[str], names: Iterable[str]) -> int:
    """Take names, and sources that have none left, from a store, all or nothing; how many sources.

    Their bytes go with `gc`. Raises `InvalidInput` for a name that there is not; `StoreError`.
    """
    path = _of(folder)
    with writing(path):
        catalogue = Catalogue(path, writes=True)
        try:
            before = len(catalogue.sources())
            with catalogue.transaction():
                for name in names:
                    if not catalogue.all("SELECT 1 FROM name WHERE name = ?", name):
                        raise InvalidInput(
                            f"{visible(str(path))}: no source {quoted(name, _SHOWN_COLUMNS)} "
                            "(w2stree store ls --sources); nothing was removed"
                        )
                    catalogue.run("DELETE FROM name WHERE name = ?", name)
                catalogue.run("DELETE FROM source WHERE id NOT IN (SELECT source FROM name)")
                for table in ("need", "runs"):
                    catalogue.run(
                        f"DELETE FROM {table} WHERE source NOT IN (SELECT id FROM source)"
                    )
            return before - len(catalogue.sources())
        finally:
            catalogue.close()


def gc(folder: str | os.PathLike[str]) -> Collected:
    """Remove the segments that no source needs. A segment goes whole: what only some of its sources
    needed stays with the others'.

    Ended anywhere, it leaves files that the catalogue does not know, which the next writer removes.
    Raises `StoreError`.
    """
    path = _of(folder)
    with writing(path):
        catalogue = Catalogue(path, writes=True)
        try:
            with catalogue.transaction():
                catalogue.run("DELETE FROM segment WHERE id NOT IN (SELECT segment FROM need)")
                catalogue.run(
                    "DELETE FROM run_column WHERE digest NOT IN (SELECT task FROM runs UNION "
                    "SELECT place FROM runs UNION SELECT steps FROM runs UNION "
                    "SELECT return FROM runs UNION SELECT status FROM runs)"
                )
            kept = {segment.id for segment in catalogue.segments()}
            return Collected(*remove_others(path / SEGMENTS, kept))
        finally:
            catalogue.close()


def _of(folder: str | os.PathLike[str]) -> Path:
    if not is_store(Path(folder)):
        raise StoreError(f"{visible(str(folder))}: no store (there is no {FILE})")
    return Path(folder)
