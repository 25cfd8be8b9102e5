"""Lines of a gzip file one at a time, without holding the file or its text.

    text   |-------------|------------|-----------|--      about 1.5 MB between marks
           ^ mark 0      ^ mark 1     ^ mark 2             a copy of the decompressor (50 KB)
    file   |----|----|----|--                              128 KiB of compressed bytes each

A line is read by going on from the last mark before it, not from the file's start.
"""

from __future__ import annotations

import zlib
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from w2stree.errors import InvalidInput

_CHUNK = 1 << 17
_GZIP = 31  # zlib's wbits for a gzip header


class GzipLines:
    """Random access to the lines of a gzip file (of one member, as gzip writes it).

    `scan` must have run to its end once. Raises `InvalidInput` where the file is damaged, torn
    or has several members, `FileNotFoundError` where there is none.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mark_offsets: list[int] = []  # in the text
        self._marks: list[Any] = []  # zlib has no public name for the type

    def scan(self) -> Iterator[tuple[int, bytes]]:
        """Every line with its offset in the text, in order; lays the marks on its way."""
        self._mark_offsets, self._marks = [], []
        offset, begun = 0, b""
        with self._path.open("rb") as file:
            decompressor = zlib.decompressobj(_GZIP)
            while chunk := file.read(_CHUNK):
                self._mark_offsets.append(offset + len(begun))
                self._marks.append(decompressor.copy())
                *lines, begun = (begun + self._inflate(decompressor, chunk)).split(b"\n")
                for line in lines:
                    yield offset, line
                    offset += len(line) + 1
        if not decompressor.eof or decompressor.unused_data:
            raise InvalidInput(f"{self._path}: cut short, or of several gzip members; copy it anew")
        if begun:
            yield offset, begun

    def line(self, offset: int) -> bytes:
        """The line that begins at `offset`, without its newline."""
        mark = bisect_right(self._mark_offsets, offset) - 1
        skipped = offset - self._mark_offsets[mark]
        with self._path.open("rb") as file:
            file.seek(mark * _CHUNK)
            return self._read_line(file, self._marks[mark].copy(), skipped)

    def _read_line(self, file: BinaryIO, decompressor: Any, skipped: int) -> bytes:
        text = b""
        while chunk := file.read(_CHUNK):
            text += self._inflate(decompressor, chunk)
            end = text.find(b"\n", skipped)
            if end >= 0:
                return text[skipped:end]
        return text[skipped:]

    def _inflate(self, decompressor: Any, chunk: bytes) -> bytes:
        try:
            return bytes(decompressor.decompress(chunk))
        except zlib.error as error:
            raise InvalidInput(f"{self._path}: not a whole gzip file ({error})") from None
