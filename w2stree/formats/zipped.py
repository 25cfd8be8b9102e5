"""The JSON texts of a zip: what describes the others first, then by name.

log.eval: header.json
log.eval: samples/1_epoch_1.json       deflated, or packed with Zstandard (method 93), which
log.eval: samples/2_epoch_1.json       Python's own zipfile reads from 3.14 on
"""

from __future__ import annotations

import errno
import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from w2stree.errors import InvalidInput, MissingDependency
from w2stree.formats.format import Located
from w2stree.shorten import visible
from w2stree.trajectories.json_text import parse_json
from w2stree.trajectories.lines import Skip
from w2stree.trajectories.reading_limits import DEFAULT, ReadingLimits

_DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError),
    *(NotImplementedError, RuntimeError, ValueError, OverflowError),
)
"""What Python's zipfile raises for bytes that make no sense."""

_FIRST = ("header.json", "_journal/start.json")
_ZSTANDARD = 93
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")  # of the zip format; the last two: name, extra field


def members(
    file: Path, *, limits: ReadingLimits = DEFAULT, skip: Skip | None = None
) -> Iterator[Located]:
    """Each member that is JSON, NaN among it, and its place; of several by one name the last.

    Raises `InvalidInput` naming the member for what is no JSON, too large, locked or damaged, which
    with `skip` is left out, and the file where it is damaged itself; `MissingDependency` for one
    that is packed with Zstandard, without zstandard.
    """
    shown = visible(str(file))
    with _damage_told(shown, "zip file"), zipfile.ZipFile(file) as packed:
        by_name = {member.filename: member for member in packed.infolist()}
        if not any(name.endswith(".json") for name in by_name):
            raise InvalidInput(f"{shown}: a zip without JSON texts (.json): unpack it")
        for name in sorted(by_name, key=lambda name: (name not in _FIRST, name)):
            if not name.endswith(".json"):
                continue
            where = f"{shown}: {visible(name)}"
            try:
                with _damage_told(where, "member"):
                    content = _content(packed, by_name[name], where, limits)
                value = parse_json(content, where, with_nan=True)
            except InvalidInput as error:
                if skip is None:
                    raise
                skip(str(error))
                continue
            yield where, value


@contextmanager
def _damage_told(where: str, what: str) -> Iterator[None]:
    try:
        yield
    except InvalidInput:
        raise
    except _DAMAGED as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise  # of the disk, and no place that the directory made up
        raise InvalidInput(f"{where}: a damaged {what}, or a locked one ({error})") from None


def _content(
    packed: zipfile.ZipFile, member: zipfile.ZipInfo, where: str, limits: ReadingLimits
) -> bytes:
    if member.file_size > limits.line_bytes:
        raise InvalidInput(f"{where}: {limits.over('line_mib', 'more than {}')}")
    if member.compress_type != _ZSTANDARD or member.flag_bits & 1:
        with packed.open(member) as unpacked:  # which holds more than it says, if it is made so
            return unpacked.read(member.file_size + 1)
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
