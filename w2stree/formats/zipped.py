"""The JSON texts of a zip: what describes the others first, then by name.

log.eval: header.json
log.eval: samples/1_epoch_1.json       deflated, or packed with Zstandard (method 93), which
log.eval: samples/2_epoch_1.json       Python's own zipfile reads from 3.14 on
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from w2stree.errors import InvalidInput, MissingDependency
from w2stree.formats.format import Located
from w2stree.shorten import visible
from w2stree.trajectories.json_text import parse_json

LARGEST_MEMBER = 1 << 28
"""Bytes of a member that are read: 256 MiB, as of a line."""

_FIRST = ("header.json", "_journal/start.json")
_ZSTANDARD = 93
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")  # of the zip format; the last two: name, extra field


def members(file: Path) -> Iterator[Located]:
    """Each member that is JSON, NaN among it, and its place; of several by one name the last.

    Raises `InvalidInput` naming the member for what is no JSON, too large, locked or damaged;
    `MissingDependency` for one that is packed with Zstandard, without zstandard.
    """
    shown = visible(str(file))
    try:
        with zipfile.ZipFile(file) as packed:
            by_name = {member.filename: member for member in packed.infolist()}
            for name in sorted(by_name, key=lambda name: (name not in _FIRST, name)):
                if name.endswith(".json"):
                    where = f"{shown}: {visible(name)}"
                    yield (
                        where,
                        parse_json(_content(packed, by_name[name], where), where, with_nan=True),
                    )
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error) as error:
        raise InvalidInput(f"{shown}: a damaged zip file, or a locked one ({error})") from None


def _content(packed: zipfile.ZipFile, member: zipfile.ZipInfo, where: str) -> bytes:
    if member.file_size > LARGEST_MEMBER:
        raise InvalidInput(f"{where}: more than {LARGEST_MEMBER >> 20} MiB; not read")
    if member.compress_type != _ZSTANDARD or member.flag_bits & 1:
        return packed.read(member)
    try:
        import zstandard
    except ModuleNotFoundError:
        raise MissingDependency(f"{where} needs zstandard: pip install 'w2stree[zst]'") from None
    try:
        unpacked = zstandard.ZstdDecompressor().stream_reader(
            io.BytesIO(_packed(packed, member)), read_across_frames=True
        )
        content = unpacked.read(member.file_size + 1)
    except zstandard.ZstdError as error:
        raise zipfile.BadZipFile(f"{member.filename}: {error}") from None
    if len(content) != member.file_size or zlib.crc32(content) != member.CRC:
        raise zipfile.BadZipFile(f"{member.filename} differs from its checksum")
    return content


def _packed(packed: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """The bytes as they stand in the file, after the member's own header."""
    opened = packed.fp
    assert opened is not None  # of a zip that is open
    opened.seek(member.header_offset)
    header = opened.read(_LOCAL_HEADER.size)
    if len(header) < _LOCAL_HEADER.size:
        raise zipfile.BadZipFile(f"{member.filename} is cut")
    *_, name_length, extra_length = _LOCAL_HEADER.unpack(header)
    opened.seek(name_length + extra_length, io.SEEK_CUR)
    return opened.read(member.compress_size)
