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
from w2stree.formats.containers import is_binary
from w2stree.shorten import visible

_SLICE = 1 << 20  # small enough to stay in the processor's cache
_MOST = 1 << 31  # bytes of a line: numbers of pieces are 32 bits
_PACKED = (b"PK\x03\x04", b"\x1f\x8b", b"\x28\xb5\x2f\xfd")
_NEWLINE = 10


def has_lines(file: Path) -> bool:
    """Whether its records are lines: told by its first bytes. `OSError`."""
    return not (is_packed(file) or is_binary(file))


def is_packed(file: Path) -> bool:
    """Whether nothing in it can be shared: gzip, Zstandard or zip. `OSError`."""
    with file.open("rb") as opened:
        return opened.read(4).startswith(_PACKED)


def slices(file: Path, *, is_lines: bool) -> Iterator[tuple[bytes, NDArray[np.int64]]]:
    """Bytes of whole records, and where each of them ends; one after another they are the file.

    Raises `InvalidInput` for a line of more than 2 GiB; `OSError`. Memory: two slices of 1 MiB, or
    a line twice.
    """
    with file.open("rb") as opened:
        if not is_lines:
            while data := opened.read(_SLICE):
                yield data, np.array([len(data)], np.int64)
            return
        begun: list[bytes] = []  # of a line
        while read := opened.read(_SLICE):
            whole = read.rfind(b"\n") + 1
            if not whole:
                begun.append(read)
                if len(begun) * _SLICE > _MOST:
                    raise InvalidInput(f"{visible(str(file))}: a line of more than 2 GiB")
                continue
            data = b"".join([*begun, read[:whole]])
            begun = [read[whole:]] if whole < len(read) else []
            yield data, np.flatnonzero(np.frombuffer(data, np.uint8) == _NEWLINE) + 1
        if begun:
            data = b"".join(begun)
            yield data, np.array([len(data)], np.int64)
