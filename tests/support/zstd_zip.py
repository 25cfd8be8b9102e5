"""A zip whose members are packed with Zstandard (method 93), as Inspect writes its logs."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import zstandard


def write_zstd_zip(file: Path, members: dict[str, bytes]) -> None:
    """Each in two frames, as large ones are. Python's zipfile writes no such, so what it stores
    is packed already, and the directory says by what."""
    with zipfile.ZipFile(file, "w") as packed:
        for name, content in members.items():
            halves = content[:9], content[9:]
            frames = b"".join(zstandard.ZstdCompressor().compress(half) for half in halves)
            member = zipfile.ZipInfo(name)
            packed.writestr(member, frames)
            member.compress_type, member.file_size = 93, len(content)
            member.CRC = zlib.crc32(content)
