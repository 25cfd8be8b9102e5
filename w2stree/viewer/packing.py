"""Named columns in one piece of bytes, little-endian, for a program in another language.

    4 bytes   length of the header
    header    JSON: what is said of all, and of each column its type, where it begins, how long
    columns   each at a multiple of 8 bytes from the beginning, so that it is used as it lies

Types are those of JavaScript's typed arrays: u1 u2 u4 i4 f8.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2stree.errors import InvalidInput

_TYPES = ("u1", "u2", "u4", "i4", "f8")
_ALIGNMENT = 8


def packed(header: Mapping[str, Any], columns: Mapping[str, NDArray[Any]]) -> bytes:
    """All of it. Raises `InvalidInput` for a column of another type."""
    told: dict[str, tuple[str, int, int]] = {}
    pieces: list[bytes] = []
    begin = 0
    for name, column in columns.items():
        kind = column.dtype.str[1:]
        if kind not in _TYPES:
            raise InvalidInput(f"column {name} is of type {column.dtype}; expected one of {_TYPES}")
        content = np.ascontiguousarray(column.astype(f"<{kind}", copy=False)).tobytes()
        told[name] = (kind, begin, len(column))
        content += bytes(-len(content) % _ALIGNMENT)
        pieces.append(content)
        begin += len(content)
    text = json.dumps({**header, "columns": told}).encode()
    text += b" " * (-(len(text) + 4) % _ALIGNMENT)
    return b"".join([struct.pack("<I", len(text)), text, *pieces])


def unpacked(content: bytes) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The header and the columns of `packed`."""
    (length,) = struct.unpack_from("<I", content)
    header = json.loads(content[4 : 4 + length])
    columns = {
        name: np.frombuffer(content, f"<{kind}", count, 4 + length + begin)
        for name, (kind, begin, count) in header.pop("columns").items()
    }
    return header, columns


def narrow(numbers: NDArray[Any]) -> NDArray[Any]:
    """Whole numbers >= 0 in as few bytes each as hold them. Raises `InvalidInput` past 32 bits."""
    greatest = int(numbers.max(initial=0))
    for kind in ("u1", "u2", "u4"):
        if greatest <= np.iinfo(kind).max:
            return numbers.astype(kind)
    raise InvalidInput(f"{greatest:,} is beyond what a view can hold: look at fewer tasks")
