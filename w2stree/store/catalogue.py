"""What a store holds, in one SQLite file: a transaction is what is acknowledged.

segment   which files there are, and the numbers of their pieces and records
source    a file's digest, its size, its records
need      which segments a source's bytes are in
name      what a source was called when it was added; one source may have several names
runs      of a source, its runs in columns; a column that two sources share is there once
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from w2stree.errors import StoreError
from w2stree.shorten import visible

FILE = "catalogue.sqlite"
_APPLICATION, _VERSION = 0x77327374, 1  # "w2st"
_WAIT_S = 60.0
_SCHEMA = """
CREATE TABLE next(piece INTEGER NOT NULL, record INTEGER NOT NULL);
INSERT INTO next VALUES (0, 0);
CREATE TABLE segment(
    id INTEGER PRIMARY KEY AUTOINCREMENT, first_piece INTEGER NOT NULL, num_pieces INTEGER NOT NULL,
    first_record INTEGER NOT NULL, num_records INTEGER NOT NULL, num_bytes INTEGER NOT NULL);
CREATE TABLE source(
    id INTEGER PRIMARY KEY AUTOINCREMENT, digest BLOB NOT NULL UNIQUE, num_bytes INTEGER NOT NULL,
    first_record INTEGER NOT NULL, num_records INTEGER NOT NULL, is_lines INTEGER NOT NULL);
CREATE TABLE need(
    source INTEGER NOT NULL, segment INTEGER NOT NULL, PRIMARY KEY(source, segment)) WITHOUT ROWID;
CREATE TABLE name(
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, source INTEGER NOT NULL,
    UNIQUE(name, source));
CREATE TABLE runs(
    source INTEGER PRIMARY KEY, num_runs INTEGER NOT NULL, format TEXT NOT NULL, task BLOB NOT NULL,
    place BLOB NOT NULL, steps BLOB NOT NULL, return BLOB NOT NULL, status BLOB NOT NULL);
CREATE TABLE run_column(digest BLOB PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """A segment, and the numbers of what it holds in the whole store."""

    id: int
    first_piece: int
    num_pieces: int
    first_record: int
    num_records: int
    num_bytes: int


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A source: `digest` is SHA-256 of its bytes; `is_lines`: a record is a line of it."""

    id: int
    digest: bytes
    num_bytes: int
    first_record: int
    num_records: int
    is_lines: bool


class Catalogue:
    """The file, open for reading or (`writes`) for writing by whoever holds the store's lock.

    Raises `StoreError` where it is no catalogue of a store, is of another version, is damaged,
    or cannot be written (a full disk): what was acknowledged before is as it was.
    """

    def __init__(self, folder: Path, *, writes: bool = False) -> None:
        self.path = folder / FILE
        # A reader, too, may have to undo what an ended writer began: where the file is read-only,
        # SQLite opens it so.
        mode = "rwc" if writes else "rw"
        with self._told("opened"):
            self._db = sqlite3.connect(
                f"{self.path.absolute().as_uri()}?mode={mode}", uri=True, timeout=_WAIT_S,
                isolation_level=None,
            )  # fmt: skip
        try:
            with self._told("opened"):
                if writes and not self._one("SELECT count(*) FROM sqlite_master"):
                    self._create()
                application = self._one("PRAGMA application_id")
                version = self._one("PRAGMA user_version")
                if writes:
                    self._db.execute("PRAGMA synchronous=EXTRA")
        except BaseException:
            self._db.close()
            raise
        if application != _APPLICATION or version != _VERSION:
            self._db.close()
            raise StoreError(
                f"{visible(str(self.path))}: the catalogue of no store, or of another version "
                f"({version}; this one reads {_VERSION})"
            )

    def _create(self) -> None:
        self._db.execute("PRAGMA page_size=1024")
        self._db.executescript(
            f"BEGIN IMMEDIATE; PRAGMA application_id={_APPLICATION}; "
            f"PRAGMA user_version={_VERSION}; {_SCHEMA} COMMIT;"
        )

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of the block, or nothing: it is on the disk when the block has ended."""
        with self._told("written"):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Several questions about one state, whoever writes meanwhile."""
        with self._told("read"):
            self._db.execute("BEGIN")
            try:
                yield
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    def all(self, query: str, *values: Any) -> list[Any]:
        with self._told("read"):
            return self._db.execute(query, values).fetchall()

    def run(self, query: str, *values: Any) -> int:
        """Change something, in a transaction; the number of the row that was made last."""
        return self._db.execute(query, values).lastrowid or 0

    def _one(self, query: str) -> Any:
        return self._db.execute(query).fetchone()[0]

    def segments(self) -> list[SegmentRow]:
        """In the order of their pieces, which is that of their records and of their making."""
        return [SegmentRow(*row) for row in self.all("SELECT * FROM segment ORDER BY id")]

    def sources(self) -> list[SourceRow]:
        """In the order in which they were added."""
        rows = self.all("SELECT * FROM source ORDER BY id")
        return [
            SourceRow(number, digest, size, first, count, bool(is_lines))
            for number, digest, size, first, count, is_lines in rows
        ]

    def names(self) -> list[tuple[str, int]]:
        """Each name and its source; of several by one name the newest last."""
        return list(self.all("SELECT name, source FROM name ORDER BY name, id"))

    def next_numbers(self) -> tuple[int, int]:
        """Of the next piece and of the next record: none is given twice, whatever was removed."""
        (row,) = self.all("SELECT piece, record FROM next")
        return int(row[0]), int(row[1])

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(
                f"{visible(str(self.path))}: the catalogue cannot be {what} ({error}); what was "
                "acknowledged before is as it was"
            ) from None


def is_store(path: Path) -> bool:
    """Whether a folder is a store."""
    return (path / FILE).is_file()
