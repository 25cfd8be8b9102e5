"""A file in slices of whole records: its lines, or where it has none equal parts.

runs.jsonl        {…}⏎ {…}⏎ {…}          a record a line, with its line end
runs.parquet      1 MiB, 1 MiB, 0.3 MiB   tables, zips, packed files: their bytes as they are
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from w2stree.errors import InvalidInput
from w2stree.shorten import visible

_SLICE = 1 << 24
_PART = 1 << 20
_MOST = 1 << 31  # bytes of a line: numbers of pieces are 32 bits
_NOT_LINES = (
    b"PAR1",
    b"ARROW1",
    b"PK\x03\x04",
    b"\xff\xff\xff\xff",
    b"\x1f\x8b",
    b"\x28\xb5\x2f\xfd",
)
_PACKED = (b"PK\x03\x04", b"\x1f\x8b", b"\x28\xb5\x2f\xfd")
_NEWLINE = 10


def has_lines(file: Path) -> bool:
    """Whether its records are lines: told by its first bytes. `OSError`."""
    return not _begin(file).startswith(_NOT_LINES)


def is_packed(file: Path) -> bool:
    """Whether nothing in it can be shared: gzip, Zstandard or zip. `OSError`."""
    return _begin(file).startswith(_PACKED)


def _begin(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(8)


def slices(file: Path, *, is_lines: bool) -> Iterator[tuple[bytes, NDArray[np.int64]]]:
    """Bytes of whole records, and where each of them ends; one after another they are the file.

    Raises `InvalidInput` for a line of more than 2 GiB; `OSError`. Memory: two slices of 16 MiB, or
    a line.
    """
    with file.open("rb") as opened:
        if not is_lines:
            while data := opened.read(_SLICE):
                ends = np.arange(_PART, len(data) + _PART, _PART, dtype=np.int64)
                yield data, np.minimum(ends, len(data))
            return
        rest = b""
        while read := opened.read(_SLICE):
            data = rest + read if rest else read
            ends = np.flatnonzero(np.frombuffer(data, np.uint8) == _NEWLINE) + 1
            whole = int(ends[-1]) if len(ends) else 0
            rest = data[whole:]
            if len(rest) > _MOST:
                raise InvalidInput(f"{visible(str(file))}: a line of more than 2 GiB")
            if whole:
                yield data[:whole] if rest else data, ends
        if rest:
            yield rest, np.array([len(rest)], np.int64)
