"""Text from files: UTF-8, and every other encoding told by name."""

from __future__ import annotations

import codecs
import json

from w2stree.errors import InvalidInput
from w2stree.trajectories.place import line_column

_LOOKED_AT = 64  # bytes that show what the text is encoded in; whole characters of UTF-32


def decode_utf8(data: bytes, where: str) -> str:
    """The text of `data`, without a byte order mark at its begin.

    Raises `InvalidInput`, beginning with `where`, for UTF-16 and UTF-32, which it names, and for
    the first byte that is not UTF-8, by line and column.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        other = other_encoding(data)
        raise InvalidInput(f"{where}: {other or _first_bad_byte(data, error)}") from None
    if "\0" in text[:4] and (other := other_encoding(data)):
        raise InvalidInput(f"{where}: {other}")
    return text.removeprefix("\ufeff")


def other_encoding(data: bytes) -> str | None:
    """What to do with what begins so, where it is UTF-16 or UTF-32; else None."""
    name = json.detect_encoding(data)
    if name.startswith("utf-8"):
        return None
    head = codecs.getincrementaldecoder(name)(errors="replace").decode(data[:_LOOKED_AT])
    if not head or "\0" in head or "\ufffd" in head:
        return None  # zeros that a power cut left, or anything else
    iconv = name.upper().replace("-LE", "LE").replace("-BE", "BE")
    return f"this is {name[:6].upper()}: convert it with iconv -f {iconv} -t UTF-8"


def _first_bad_byte(data: bytes, error: UnicodeDecodeError) -> str:
    before = data[: error.start].decode("utf-8")
    line, column = line_column(before, len(before))
    has_lines = b"\n" in data.rstrip()
    place = f"line {line}, column {column}" if has_lines else f"column {column}"
    return (
        f"not UTF-8 at {place} (byte 0x{data[error.start]:02x}): convert it to UTF-8, from "
        "Latin-1 for example with iconv -f WINDOWS-1252 -t UTF-8"
    )
