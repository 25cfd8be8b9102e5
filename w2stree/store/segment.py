"""A segment: a file that is written once, and read by memory map.

    w2store1 │ sample │ piece blocks │ record blocks │ index │ footer
    magic      of its   lengths,       counts,         where   where the index is,
               texts    texts          numbers         each    its checksum, magic
                                                       begins

A record is a list of numbers of pieces, of this segment or of earlier ones: 0 is the next piece
that this segment has and no record had yet, else the piece's number in the whole store, plus one.
What is told again, anywhere, is thus the same numbers in the same order, which Zstandard finds.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2stree._core import xxh64
from w2stree.errors import StoreError
from w2stree.shorten import visible
from w2stree.store.packing import (
    DamagedBlock,
    Planes,
    packer,
    packer_with,
    to_planes,
    unpack,
    unpacker,
    unpacker_with,
)
from w2stree.trajectories.replacing import replacing

_MAGIC = b"w2store1"
_FOOTER = struct.Struct("<QQQ8s")  # where the index begins, its size, its checksum, magic
_HEAD = 6  # numbers before the index's columns
_PIECE_BLOCK = 1 << 16  # bytes of text in a block, or one piece
_RECORD_BLOCK = 1 << 16  # pieces of the records in a block, or one record
_MAX_BLOCK = 1 << 33  # bytes of one unpacked: a record of 2**31 pieces
_MAX_PIECE = (1 << 32) - 1
_LEVEL = 7
_SAMPLE, _SAMPLE_SHARE, _STRIPES = 1 << 20, 5, 64  # at most so many bytes, and a fifth of all

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Contents:
    """What a segment is to hold.

    data, offset: its pieces, `[num_pieces + 1]` offsets into the bytes.
    piece: of all records one after another, the numbers of their pieces in the whole store.
    record: `[num_records + 1]` where each record begins in `piece`.
    first_piece, first_record: the numbers of its first ones in the whole store.
    """

    data: NDArray[np.uint8]
    offset: Ints
    piece: Ints
    record: Ints
    first_piece: int
    first_record: int


def write_segment(path: Path, contents: Contents) -> int:
    """Write a segment, all or nothing and synced; returns its size in bytes. `OSError`."""
    with replacing(path, "wb") as file:
        sample = _sample(contents)
        packed_sample = packer(_LEVEL).compress(sample)
        file.write(_MAGIC + packed_sample)
        at = len(_MAGIC) + len(packed_sample)
        columns: list[Ints] = []
        num_new = np.zeros(0, np.int64)
        for blocks in (_piece_blocks(contents, sample), _record_blocks(contents)):
            begin, place, new = [0], [at], []
            for end, packed, new_before in blocks:
                file.write(packed)
                at += len(packed)
                begin.append(end)
                place.append(at)
                new.append(new_before)
            columns += [np.array(begin, np.int64), np.array(place, np.int64)]
            num_new = np.array(new, np.int64)
        head = [
            *(contents.first_piece, len(contents.offset) - 1, len(columns[0]) - 1),
            *(contents.first_record, len(contents.record) - 1, len(columns[2]) - 1),
        ]
        index = np.concatenate([np.array(head, np.int64), *columns, num_new]).tobytes()
        file.write(index)
        file.write(_FOOTER.pack(at, len(index), xxh64(index), _MAGIC))
        return at + len(index) + _FOOTER.size


def _sample(contents: Contents) -> bytes:
    """Stripes of the texts, from their beginning to their end: what blocks may refer to."""
    size = min(_SAMPLE, len(contents.data) // _SAMPLE_SHARE)
    begins = np.linspace(0, len(contents.data), _STRIPES, endpoint=False).astype(np.int64)
    stripe = size // _STRIPES
    return b"".join(contents.data[begin : begin + stripe].tobytes() for begin in begins)


def _piece_blocks(contents: Contents, sample: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Of each block the number of its last piece plus one, and the block."""
    offset = contents.offset
    compress = (packer_with(sample, _LEVEL) if sample else packer(_LEVEL)).compress
    lengths = np.diff(offset)
    for begin, end in _ranges(offset, _PIECE_BLOCK):
        texts = contents.data[offset[begin] : offset[end]].tobytes()
        yield end, compress(to_planes(lengths[begin:end]) + texts), 0


def _record_blocks(contents: Contents) -> Iterator[tuple[int, bytes, int]]:
    """The same of records, and how many new pieces were in the blocks before."""
    piece, compress = contents.piece, packer(_LEVEL).compress
    before = contents.first_piece - 1
    highest = np.maximum.accumulate(np.concatenate([[before], piece]))
    is_new = piece > highest[:-1]
    if int(is_new.sum()) != len(contents.offset) - 1 or int(highest[-1]) >= _MAX_PIECE:
        # A reader counts the new ones: one too few, and every record after it would be another.
        raise StoreError(
            f"a segment of {len(contents.offset) - 1:,} pieces from {contents.first_piece:,} on "
            "cannot be written: a record has to have each, and their numbers are below 2**32 - 1; "
            "what was acknowledged is as it was: export the store, and add the files to a new one"
        )
    code = np.where(is_new, 0, piece + 1)
    counts = np.diff(contents.record)
    for begin, end in _ranges(contents.record, _RECORD_BLOCK):
        first, last = contents.record[begin], contents.record[end]
        packed = compress(to_planes(counts[begin:end]) + to_planes(code[first:last]))
        yield end, packed, int(highest[first]) - before


def _ranges(offset: Ints, size: int) -> Iterator[tuple[int, int]]:
    """Ranges of what the offsets part, each of about `size` or of one."""
    begin, num = 0, len(offset) - 1
    while begin < num:
        end = int(np.searchsorted(offset, offset[begin] + size, "right")) - 1
        end = min(max(end, begin + 1), num)
        yield begin, end
        begin = end


class Segment:
    """A segment open for reading: its index is checked, its blocks are when they are read.

    Raises `StoreError` naming the file for one that is absent, torn or altered. Opening maps the
    file, and reads the index: O(blocks).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:  # an empty file cannot be mapped
            raise StoreError(
                f"{visible(str(path))}: this segment of the store cannot be read ({error}): it was "
                "removed while you read, or the store was copied in part"
            ) from None
        self._data = memoryview(self._map)
        self._unpacker: Any = None
        self._read_index()

    def _read_index(self) -> None:
        size = len(self._data)
        if size < len(_MAGIC) + _FOOTER.size or self._data[: len(_MAGIC)] != _MAGIC:
            raise self._damaged("no segment of a store")
        at, length, checksum, magic = _FOOTER.unpack(self._data[-_FOOTER.size :])
        if magic != _MAGIC or at + length + _FOOTER.size != size or length % 8:
            raise self._damaged("cut off, or written over at its end")
        index = self._data[at : at + length]
        if xxh64(index) != checksum:
            raise self._damaged("its index differs from its checksum")
        numbers = np.frombuffer(index, np.int64)
        (
            self.first_piece,
            self.num_pieces,
            pieces,
            self.first_record,
            self.num_records,
            records,
        ) = (int(number) for number in numbers[:_HEAD])
        parts = np.cumsum([_HEAD, pieces + 1, pieces + 1, records + 1, records + 1, records])
        self.piece_begin, self._piece_at, self.record_begin, self._record_at, self._num_new = (
            numbers[a:b] for a, b in pairwise(parts)
        )

    def pieces(self, block: int) -> tuple[list[int], bytes]:
        """Where the pieces of a block begin and the last one ends, in the bytes after it."""
        data = self._unpacked(block, self._piece_at, self._by_sample())
        count = int(self.piece_begin[block + 1] - self.piece_begin[block])
        try:
            lengths = Planes(data, count).numbers()
        except DamagedBlock as error:
            raise self._damaged(f"block {block} of its pieces: {error}") from None
        ends = np.cumsum(np.concatenate([[4 * count], lengths]))
        if int(ends[-1]) != len(data):
            raise self._damaged(f"block {block} of its pieces has another length than it says")
        return ends.tolist(), data

    def records(self, block: int, first: int, last: int) -> tuple[Ints, Ints]:
        """The numbers of the pieces of a block's records from its `first` on, before its `last`,
        and where each of these begins in them. Of the records before new pieces are counted."""
        data = self._unpacked(block, self._record_at)
        count = int(self.record_begin[block + 1] - self.record_begin[block])
        try:
            record = np.concatenate([[0], np.cumsum(Planes(data, count).numbers())])
            codes = Planes(data, int(record[-1]), 4 * count)
        except DamagedBlock as error:
            raise self._damaged(f"block {block} of its records: {error}") from None
        begin, end = int(record[first]), int(record[last])
        num_new = int(self._num_new[block]) + codes.num_zeros(begin)
        code = codes.numbers(begin, end)
        is_new = code == 0
        new = self.first_piece + num_new - 1 + np.cumsum(is_new)
        return np.where(is_new, new, code - 1), record[first : last + 1] - begin

    def _by_sample(self) -> Any:
        if self._unpacker is None:
            packed = self._data[len(_MAGIC) : int(self._piece_at[0])]
            try:
                sample = unpack(packed, _SAMPLE)
            except DamagedBlock as error:
                raise self._damaged(f"the sample of its texts: {error}") from None
            self._unpacker = unpacker_with(sample) if sample else unpacker()
        return self._unpacker

    def _unpacked(self, block: int, places: Ints, by: Any = None) -> bytes:
        begin, end = int(places[block]), int(places[block + 1])
        try:
            return unpack(self._data[begin:end], _MAX_BLOCK, by)
        except DamagedBlock as error:
            raise self._damaged(f"block {block} at byte {places[block]}: {error}") from None

    def _damaged(self, what: str) -> StoreError:
        return StoreError(
            f"{visible(str(self.path))}: this segment of the store is damaged: {what}; take the "
            "file from a copy, or add the sources that need it again (w2stree store check)"
        )


def segment_path(folder: Path, number: int) -> Path:
    return folder / f"{number:08d}.seg"


def remove_others(folder: Path, kept: set[int]) -> tuple[int, int]:
    """Remove the segments that are not `kept`, as of a writer that was ended, and hidden halves of
    files; how many files went, and their bytes."""
    names = {segment_path(folder, number).name for number in kept}
    others = [path for path in folder.iterdir() if path.name not in names]
    ours = [p for p in others if p.suffix == ".seg" or p.name.endswith(".partial")]
    num_bytes = sum(path.stat().st_size for path in ours)
    for path in ours:
        path.unlink()
    return len(ours), num_bytes
