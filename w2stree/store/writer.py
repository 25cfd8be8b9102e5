"""Adding to a store: one writer at a time, and what is acknowledged is on the disk.

file ──slices──> pieces and numbers ──> segment, synced ──┐
                                                          ├─ one transaction ──> acknowledged
its digest, name, records, the segments it needs ─────────┘

A writer that is ended anywhere leaves, at most, segments that the catalogue does not know: the next
one removes them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from w2stree._core import PieceTable
from w2stree.errors import InvalidInput, StoreError
from w2stree.shorten import visible
from w2stree.store.catalogue import Catalogue, SegmentRow
from w2stree.store.packing import zstandard
from w2stree.store.records import has_lines, slices
from w2stree.store.runs import RunColumns, keep
from w2stree.store.segment import Contents, Segment, remove_others, segment_path, write_segment

_NEW_PIECES = 1 << 20  # in a segment, at about: some 100 MB
_RECORD_PIECES = 1 << 23  # of the records in it
_READ = 1 << 24

Ints = NDArray[np.int64]


@dataclass(slots=True)
class Pending:
    """A source that was read and is not acknowledged yet."""

    name: str
    digest: bytes
    num_bytes: int
    first_record: int
    num_records: int
    is_lines: bool
    needs: set[int]
    runs: RunColumns | None = None
    id: int = 0


@dataclass(slots=True)
class _Begun:
    """The segment that is being filled: records as numbers of pieces, from `first_record` on."""

    first_piece: int
    first_record: int
    pieces: list[Ints] = field(default_factory=list)
    counts: list[Ints] = field(default_factory=list)
    num_pieces: int = 0
    num_records: int = 0


class Writer:
    """Writes sources into a store's folder, of which the caller holds the lock.

    Opening removes what an ended writer left, and reads every piece of the store: O(bytes of the
    pieces), at some hundreds of megabytes a second, and as much memory. After an error it takes no
    more; the store is then as it was at the last `commit`.
    """

    def __init__(self, folder: Path, catalogue: Catalogue) -> None:
        zstandard()
        self._folder, self._catalogue = folder, catalogue
        self._segments = catalogue.segments()
        remove_others(folder, {segment.id for segment in self._segments})
        sources = catalogue.sources()
        self._known = {source.digest for source in sources}
        self._sizes = {source.num_bytes for source in sources}
        self._table = PieceTable()
        self._number: list[tuple[int, int]] = []  # from this number of the table on: add this much
        for segment in self._segments:
            self._learn(segment)
        self._next_id = max((s.id for s in self._segments), default=0) + 1
        next_id = catalogue.all("SELECT seq FROM sqlite_sequence WHERE name = 'segment'")
        self._next_id = max(self._next_id, *(int(row[0]) + 1 for row in next_id), 1)
        next_piece, next_record = catalogue.next_numbers()
        self._num_learned = self._table.size
        self._number.append((self._table.size, next_piece - self._table.size))
        self._begun = _Begun(next_piece, next_record)
        self._written: list[SegmentRow] = []
        self._pending: dict[bytes, Pending] = {}
        self._more: list[tuple[str, bytes, RunColumns | None]] = []
        self._failure: str | None = None

    def _learn(self, row: SegmentRow) -> None:
        segment = Segment(segment_path(self._folder, row.id))
        self._number.append((self._table.size, segment.first_piece - self._table.size))
        for block in range(len(segment.piece_begin) - 1):
            ends, data = segment.pieces(block)
            try:
                self._table.learn(data, np.array(ends, np.int64))
            except InvalidInput as error:
                raise StoreError(
                    f"{visible(str(segment.path))}: this segment of the store is damaged: {error}"
                ) from None

    def add(self, file: Path, name: str, runs: RunColumns | None, *, as_of: os.stat_result) -> bool:
        """Take a file's bytes, and what its runs are. Whether they are new: a source with the same
        bytes gets one more name, and the runs where it has none.

        Raises `OSError` and `InvalidInput` where the file cannot be read, or was written to after
        `as_of` (the writer goes on), `StoreError` where the store cannot be written.
        """
        self._refuse_after_failure()
        if (digest := self._same_as(file)) is not None:
            self._more.append((name, digest, runs))
            return False
        is_lines = has_lines(file)
        first_record = self._begun.first_record + self._begun.num_records
        source = Pending(name, b"", 0, first_record, 0, is_lines, set(), runs)
        digest_of = sha256()
        # Of a file that cannot be read to its end the records stay where they are: no source has
        # them, and pieces of theirs that come again are known.
        for data, ends in slices(file, is_lines=is_lines):
            digest_of.update(data)
            source.num_bytes += len(data)
            source.num_records += len(ends)
            self._take(data, ends, source)
        if _is_changed(as_of, file.stat()):
            raise InvalidInput(f"{visible(str(file))}: was written to while it was read")
        source.digest = digest_of.digest()
        if source.digest in self._known or source.digest in self._pending:
            # It was of another size when it was looked at: its records are there twice, at no cost.
            self._more.append((name, source.digest, runs))
            return False
        self._pending[source.digest] = source
        self._sizes.add(source.num_bytes)
        return True

    def _same_as(self, file: Path) -> bytes | None:
        """The digest of a source with a file's bytes; None where there is none."""
        if file.stat().st_size not in self._sizes:
            return None
        digest_of = sha256()
        with file.open("rb") as opened:
            while data := opened.read(_READ):
                digest_of.update(data)
        digest = digest_of.digest()
        return digest if digest in self._known or digest in self._pending else None

    def _take(self, data: bytes, ends: Ints, source: Pending) -> None:
        begun = self._begun
        try:
            ids, offset = self._table.split(data, ends)
        except InvalidInput as error:  # it may have numbered pieces that no record has now
            self._failure = str(error)
            raise StoreError(f"{visible(str(self._folder))}: the store is full: {error}") from None
        pieces = self._in_store(ids)
        begun.pieces.append(pieces)
        begun.counts.append(np.diff(offset))
        begun.num_pieces += len(pieces)
        begun.num_records += len(ends)
        source.needs |= self._segments_of(pieces)
        new = self._table.size - self._num_learned
        if begun.num_pieces > _RECORD_PIECES or new > _NEW_PIECES:
            self._write_begun()

    def _in_store(self, ids: NDArray[np.int32]) -> Ints:
        """Numbers of the whole store for those of the table."""
        starts = np.array([start for start, _ in self._number], np.int64)
        shift = np.array([more for _, more in self._number], np.int64)
        wide: Ints = ids.astype(np.int64)
        if len(starts) == 1 or not np.any(shift):
            wide += shift[-1]
        else:
            wide += shift[np.searchsorted(starts, wide, "right") - 1]
        return wide

    def _segments_of(self, pieces: Ints) -> set[int]:
        """The segments that the pieces are in, and the one that is begun, for its records."""
        rows = [*self._segments, *self._written]
        starts = np.array([row.first_piece for row in rows] + [self._begun.first_piece])
        ids = [row.id for row in rows] + [self._next_id]
        used = np.bincount(np.searchsorted(starts, pieces, "right") - 1, minlength=len(ids))
        return {ids[i] for i in np.flatnonzero(used).tolist()} | {self._next_id}

    def _write_begun(self) -> None:
        """Write the segment that is begun, which nobody knows of before `commit`."""
        begun = self._begun
        if not begun.num_records:
            return
        data, offset = self._table.pieces(self._num_learned)
        contents = Contents(
            data,
            offset,
            np.concatenate(begun.pieces),
            np.concatenate([[0], np.cumsum(np.concatenate(begun.counts))]),
            begun.first_piece,
            begun.first_record,
        )
        try:
            size = write_segment(segment_path(self._folder, self._next_id), contents)
        except OSError as error:
            self._failure = error.strerror or str(error)
            raise StoreError(
                f"{visible(str(self._folder))}: a segment could not be written "
                f"({self._failure}); everything acknowledged before is in the store: make room, "
                "then run the same command again"
            ) from None
        num_new = len(offset) - 1
        self._written.append(
            SegmentRow(
                self._next_id, begun.first_piece, num_new, begun.first_record, begun.num_records,
                size,
            )
        )  # fmt: skip
        self._next_id += 1
        self._num_learned = self._table.size
        self._begun = _Begun(begun.first_piece + num_new, begun.first_record + begun.num_records)

    @property
    def num_waiting(self) -> int:
        """Bytes of sources that were taken and are not acknowledged yet."""
        return sum(source.num_bytes for source in self._pending.values())

    def commit(self) -> None:
        """Everything that was taken is on the disk.

        Raises `StoreError` for a full disk: the store is then as it was before.
        """
        self._refuse_after_failure()
        try:
            self._write_begun()
            next_numbers = self._begun.first_piece, self._begun.first_record
            with self._catalogue.transaction():
                self._insert(*next_numbers)
        except StoreError as error:
            self._failure = self._failure or str(error)
            raise
        self._segments += self._written
        self._known |= self._pending.keys()
        self._written, self._pending, self._more = [], {}, []

    def _insert(self, next_piece: int, next_record: int) -> None:
        run = self._catalogue.run
        for row in self._written:
            run(
                "INSERT INTO segment VALUES (?, ?, ?, ?, ?, ?)",
                *(row.id, row.first_piece, row.num_pieces),
                *(row.first_record, row.num_records, row.num_bytes),
            )
        for source in self._pending.values():
            source.id = run(
                "INSERT INTO source VALUES (NULL, ?, ?, ?, ?, ?)",
                *(source.digest, source.num_bytes, source.first_record, source.num_records),
                source.is_lines,
            )
            for segment in source.needs:
                run("INSERT INTO need VALUES (?, ?)", source.id, segment)
            run("INSERT INTO name VALUES (NULL, ?, ?)", source.name, source.id)
            if source.runs is not None:
                keep(self._catalogue, source.id, source.runs)
        for name, digest, runs in self._more:
            ((source_id,),) = self._catalogue.all("SELECT id FROM source WHERE digest = ?", digest)
            run("INSERT OR REPLACE INTO name VALUES (NULL, ?, ?)", name, source_id)
            if runs is not None:
                keep(self._catalogue, source_id, runs)
        run("UPDATE next SET piece = ?, record = ?", next_piece, next_record)

    def _refuse_after_failure(self) -> None:
        if self._failure is not None:
            raise StoreError(
                f"{visible(str(self._folder))}: closed after a failure ({self._failure}); open the "
                "store again"
            )


def _is_changed(before: os.stat_result, after: os.stat_result) -> bool:
    return (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns)
