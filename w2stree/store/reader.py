"""Reading from a store: records by number, put together of their pieces.

record 17 ──> segment, block ──> numbers of pieces ──> their segments, blocks ──> bytes
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from w2stree.errors import StoreError
from w2stree.shorten import visible
from w2stree.store.catalogue import SegmentRow
from w2stree.store.segment import Segment, segment_path

_KEPT_BLOCKS = 1_024  # of 64 KiB

Ints = NDArray[np.int64]


class Reader:
    """The segments of a store as they were when it was opened. Opens each when it is asked for.

    Memory: 64 MiB of blocks that were read last.
    """

    def __init__(self, folder: Path, segments: Sequence[SegmentRow]) -> None:
        self._folder = folder
        self._rows = list(segments)
        self._first_piece = np.array([row.first_piece for row in segments], np.int64)
        self._first_record = [row.first_record for row in segments]
        self._open: dict[int, Segment] = {}
        self._blocks: OrderedDict[tuple[int, int], tuple[list[int], bytes]] = OrderedDict()

    def records(self, first: int, count: int) -> Iterator[bytes]:
        """Each of `count` records from `first` on.

        Raises `StoreError` naming the segment for what is damaged, absent, or in no segment.
        """
        while count:
            number = bisect_right(self._first_record, first) - 1
            if number < 0 or first - self._first_record[number] >= self._rows[number].num_records:
                raise StoreError(
                    f"{visible(str(self._folder))}: record {first} is in no segment: the catalogue "
                    "is of another store, or was altered"
                )
            segment = self._segment(number)
            within = first - segment.first_record
            block = int(np.searchsorted(segment.record_begin, within, "right")) - 1
            skip = within - int(segment.record_begin[block])
            taken = min(count, int(segment.record_begin[block + 1]) - within)
            piece, begin = segment.records(block, skip, skip + taken)
            for i in range(taken):
                yield self._joined(piece[begin[i] : begin[i + 1]])
            first, count = first + taken, count - taken

    def _joined(self, pieces: Ints) -> bytes:
        """The bytes of pieces, one after another."""
        numbers = np.searchsorted(self._first_piece, pieces, "right") - 1
        block, within = np.empty_like(pieces), np.empty_like(pieces)
        for number in sorted(set(numbers.tolist())):  # the first np.unique of a process takes 9 ms
            here = numbers == number
            segment = self._segment(number) if number >= 0 else None
            local = pieces[here] - (segment.first_piece if segment else 0)
            if segment is None or int(local.max()) >= segment.num_pieces:
                raise self._no_piece(int(pieces[here].max()))
            block[here] = np.searchsorted(segment.piece_begin, local, "right") - 1
            within[here] = local - segment.piece_begin[block[here]]
        # Pieces that were told one after another lie so in their block: each stretch is one slice.
        begins = (np.diff(pieces, prepend=-2) != 1) | (within == 0)
        first = np.flatnonzero(begins)
        last = np.append(first[1:], len(pieces)) - 1
        columns = (numbers[first], block[first], within[first], within[last])
        parts: list[bytes] = []
        for number, in_block, i, k in zip(*(column.tolist() for column in columns), strict=True):
            ends, data = self._block(number, in_block)
            parts.append(data[ends[i] : ends[k + 1]])
        return b"".join(parts)

    def _block(self, number: int, block: int) -> tuple[list[int], bytes]:
        key = number, block
        if (kept := self._blocks.get(key)) is not None:
            self._blocks.move_to_end(key)
            return kept
        unpacked = self._segment(number).pieces(block)
        self._blocks[key] = unpacked
        if len(self._blocks) > _KEPT_BLOCKS:
            self._blocks.popitem(last=False)
        return unpacked

    def _segment(self, number: int) -> Segment:
        if number not in self._open:
            row = self._rows[number]
            segment = Segment(segment_path(self._folder, row.id))
            told = (segment.first_piece, segment.num_pieces, segment.first_record)
            if told != (row.first_piece, row.num_pieces, row.first_record):
                raise StoreError(
                    f"{visible(str(segment.path))}: this segment is another one than the catalogue "
                    "knows: was the store copied while it was written?"
                )
            self._open[number] = segment
        return self._open[number]

    def _no_piece(self, piece: int) -> StoreError:
        return StoreError(
            f"{visible(str(self._folder))}: piece {piece} is in no segment: the segment that had "
            "it is gone, or one was altered"
        )
