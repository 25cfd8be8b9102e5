"""Forest files taken apart for tests: an independent reading of `forest_file.hpp`."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from support.strategies import episode

from w2stree import Forest, _core, open_forest
from w2stree.forest.file import content_of
from w2stree.forest.merges import Merges
from w2stree.forest.merging import Merging

TABLE, ENTRY, NUM_SECTIONS = 32, struct.Struct("<24sQQQ"), 27
CHECKSUM = TABLE + NUM_SECTIONS * ENTRY.size

# A task with branches and a trajectory that is a prefix, another, and one of an error alone.
EPISODES = [
    episode("ab", 1.0, "x"),
    episode("abc", 0.25, "y"),
    episode("aBcd", 0.5, "x"),
    episode("ab", 0.0, "x"),
    episode("e", 0.75, "x"),
    episode("f", -0.0, "x"),
    episode("", 0.5, "x"),
    episode("", 0.0, "z", status="error"),
]

DATA_TYPES = {
    **{"return_sum": "d", "total_return": "d", "min_similarity": "d"},
    **{"data": "B", "offset": "q", "count": "q"},
}

# The first file of the format that knew no rule, and the forest it is of (make_corpus.py).
VERSION_1 = Path(__file__).parents[2] / "cpp" / "fuzz" / "corpus" / "forest_file" / "raw_version_1"


class Section(NamedTuple):
    name: str
    offset: int
    size: int
    place: int  # of its entry in the table

    @property
    def format(self) -> struct.Struct:
        return struct.Struct("<" + DATA_TYPES.get(self.name.split(".")[-1], "i"))


def with_rule(forest: Forest) -> Forest:
    """As if merged by similarity, so that no section of its file is empty."""
    rule = Merging(min_similarity=0.9, embed="all-MiniLM-L6-v2", normalize_observation="sort_words")
    merges = Merges(np.int32([0, 1]), np.int32([1, 0]), np.int64([2, 1]))
    return Forest(replace(forest.parts, rule=rule, merges=merges))


def encode(forest: Forest) -> bytes:
    """The bytes `Forest.save` writes."""
    return b"".join(piece.tobytes() for piece in content_of(forest).pieces())


def sections(file: bytes) -> dict[str, Section]:
    found = {}
    for place in range(TABLE, CHECKSUM, ENTRY.size):
        raw, offset, size, _ = ENTRY.unpack_from(file, place)
        name = raw.rstrip(b"\0").decode()
        found[name] = Section(name, offset, size, place)
    return found


def values(file: bytes, name: str) -> list[float]:
    section = sections(file)[name]
    content = file[section.offset : section.offset + section.size]
    return [value for (value,) in section.format.iter_unpack(content)]


def seal(file: bytes) -> bytes:
    """The file with all checksums right, whatever it holds."""
    sealed = bytearray(file)
    for section in sections(file).values():
        content = bytes(sealed[section.offset : section.offset + section.size])
        struct.pack_into("<Q", sealed, section.place + 40, _core.xxh64(content))
    struct.pack_into("<Q", sealed, CHECKSUM, _core.xxh64(bytes(sealed[:CHECKSUM])))
    return bytes(sealed)


def patch(file: bytes, name: str, index: int, value: float) -> bytes:
    """A hostile file: one element changed, checksums right."""
    section = sections(file)[name]
    changed = bytearray(file)
    section.format.pack_into(changed, section.offset + index * section.format.size, value)
    return seal(bytes(changed))


def forge(file: bytes, columns: dict[str, list[float]]) -> bytes:
    """A hostile file: whole sections replaced, laid out anew, checksums right."""
    contents = {}
    for name, section in sections(file).items():
        elements = columns.get(name, values(file, name))
        contents[name] = b"".join(section.format.pack(element) for element in elements)
    return lay_out(file, contents)


def lay_out(file: bytes, contents: dict[str, bytes]) -> bytes:
    """A file like another one, with these sections."""
    header, body, end = bytearray(file[:CHECKSUM]), bytearray(), CHECKSUM + 8
    for name, section in sections(file).items():
        offset = (end + 63) // 64 * 64
        body += bytes(offset - end) + contents[name]
        end = offset + len(contents[name])
        struct.pack_into("<QQ", header, section.place + 24, offset, len(contents[name]))
    struct.pack_into("<Q", header, 16, end)
    return seal(bytes(header) + bytes(8) + bytes(body))


def place(file: bytes, name: str, index: int) -> int:
    """Where an element lies."""
    section = sections(file)[name]
    return section.offset + index * section.format.size


def reopen(forest: Forest, folder: Path) -> Forest:
    forest.save(folder / "f")
    return open_forest(folder / "f")


def parse(file: bytes) -> _core.ForestFile:
    """The core's own reading."""
    return _core.parse_forest_file(file)
