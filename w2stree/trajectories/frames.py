"""Frames: lines that carry their own length and checksum, so that damage is seen and passed over.

    w2s1 0000000117 5d3c0aa1 {"task_id":"twc/train/3","prompt":[ … ]}\n
    │    │          │        └ payload: `length` bytes, no line break among them
    │    │          └ CRC-32 of the payload, 8 hexadecimal digits
    │    └ length of the payload in bytes, 10 digits
    └ magic and version

A file of frames is text: `head`, `tail`, `grep` and `cut -d' ' -f4-` work on it. Every altered
bit is noticed: in the payload by its checksum, elsewhere because the line no longer has this form.
What editors and version control do to text is no damage: line ends of Windows (\\r\\n) and a byte
order mark before the first frame.
"""

from __future__ import annotations

import re
import zlib
from codecs import BOM_UTF8
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from w2stree.errors import JournalError
from w2stree.trajectories.utf8 import other_encoding

_MAGIC = b"w2s1 "
_HEADER = re.compile(rb"w2s1 ([0-9]{10}) ([0-9a-f]{8}) ")
_EMPTY_HEADER = b"w2s1 0000000000 00000000 "
_MOST_SUMMED = 16
"""Heads of one line whose payload is summed up: a line has one, or, joined to what was damaged
before it, a few. A game's text can have ten thousand, each of which would be summed to its end."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A whole frame; its line begins at `offset` and ends before `end`, in bytes."""

    offset: int
    end: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes between whole frames that are none. `is_torn`: a last frame not written to its end.
    `reason`: of a whole frame (`trajectories.episodes`), why no episode can be read from it."""

    offset: int
    size: int
    is_torn: bool = False
    reason: str = ""


def encode_frame(payload: bytes) -> bytes:
    """The line of a payload, which must have no line break (JSON on one line has none)."""
    return b"w2s1 %010d %08x %b\n" % (len(payload), zlib.crc32(payload), payload)


def read_frames(path: Path, *, salvage: bool = False) -> Iterator[Frame | Damage]:
    """`scan` of a file; damage that is no torn end raises `JournalError` unless `salvage`."""
    if path.exists() and not path.is_file():
        raise JournalError(f"{path} is no regular file; a journal is one")
    with path.open("rb") as file:
        for number, piece in enumerate(scan(file), start=1):
            if isinstance(piece, Damage) and not piece.is_torn and not salvage:
                if piece.offset == 0 and (other := other_encoding(_begin(path))):
                    raise JournalError(f"{path}: {other}")
                raise JournalError(
                    f"{path}: damaged at byte {piece.offset}, frame {number} ({piece.size} bytes "
                    "that are no frame); w2stree explore --salvage keeps every frame that checks "
                    "and sets the original aside, w2stree tree --salvage only reads them"
                )
            yield piece


def _begin(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(64)


def scan(file: BinaryIO) -> Iterator[Frame | Damage]:
    """Everything from the file's position on, in order; offsets count from there.

    Bytes that are no whole frame are one `Damage` up to the next frame that checks, even one in
    the middle of a line (a lost line break joins two). An end that lacks its line break and is the
    beginning of a frame, with or without the zeros a power cut may leave behind it, is torn.
    Memory: the longest line.
    """
    position = 0
    damage: int | None = None  # where the damage being passed over began
    for line in file:
        if position == 0 and line.startswith(BOM_UTF8):
            position, line = len(BOM_UTF8), line[len(BOM_UTF8) :]
            if not line:
                return
        start = _frame_start(line)
        is_torn = start is None and _is_torn(line)
        if start != 0 and not is_torn and damage is None:
            damage = position
        if damage is not None and (start is not None or is_torn):
            yield Damage(damage, position + (start or 0) - damage)
            damage = None
        if start is not None:
            payload = line[start + len(_EMPTY_HEADER) : -_line_end(line)]
            yield Frame(position + start, position + len(line), payload)
        elif is_torn:
            yield Damage(position, len(line), is_torn=True)
        position += len(line)
    if damage is not None:
        yield Damage(damage, position - damage)


def _frame_start(line: bytes) -> int | None:
    """The offset in a line of the frame that ends it: 0 if undamaged, None without a frame."""
    line_end = _line_end(line)
    start = line.find(_MAGIC) if line_end else -1
    num_summed = 0
    while start != -1 and num_summed < _MOST_SUMMED:
        header = _HEADER.match(line, start)
        if header and len(line) == header.end() + int(header[1]) + line_end:
            if zlib.crc32(memoryview(line)[header.end() : -line_end]) == int(header[2], 16):
                return start
            num_summed += 1
        start = line.find(_MAGIC, start + 1)
    return None


def _line_end(line: bytes) -> int:
    r"""Bytes of it: of \n one, of \r\n two. JSON has no \r, so none belongs to the payload."""
    return line.endswith(b"\n") + line.endswith(b"\r\n")


def _is_torn(line: bytes) -> bool:
    written = line.rstrip(b"\0").removesuffix(b"\r")
    header = _HEADER.match(written + _EMPTY_HEADER[len(written) :])
    if header is None or line.endswith(b"\n"):
        return False
    is_in_header = len(written) < len(_EMPTY_HEADER)
    return is_in_header or len(written) <= len(_EMPTY_HEADER) + int(header[1])
