"""The lines of a file, unpacked where it is packed.

runs.jsonl      ┐
runs.jsonl.gz   ├──> (1, b'{"task_id": …}\\n'), (2, …), …
runs.jsonl.zst  ┘    told by its first bytes, whatever its name
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from w2stree.errors import InvalidInput, MissingDependency
from w2stree.shorten import visible
from w2stree.trajectories.reading_limits import DEFAULT, ReadingLimits

Skip = Callable[[str], None]
"""Is given what is wrong with something that is then left out, its place first."""

_GZIP = b"\x1f\x8b"
_ZSTANDARD = b"\x28\xb5\x2f\xfd"
_BLOCK = 1 << 22
_CHUNK = 1 << 12  # of a Zstandard file: 128 MiB unpacked at worst


def read_lines(
    file: Path, *, limits: ReadingLimits | None = None, skip: Skip | None = None
) -> Iterator[tuple[int, bytes]]:
    """Each line with its number, from 1, as it is in the file or in what is packed there.

    Raises `InvalidInput` naming file and line where packed data are damaged or end too early, and
    for lines beyond the limit (without `limits` the usual one); with `skip` such a line is left
    out, and so is what follows damage, of which nobody knows how much it is. `MissingDependency`
    where Zstandard's package is absent; `OSError`. Memory: one line.
    """
    shown = visible(str(file))
    longest = (limits or DEFAULT).line_bytes
    with file.open("rb") as raw:
        lines = _unpacked(raw, file)
        number = 1
        while True:
            where = f"{shown}:{number}"
            try:
                line = _next(lines, where, longest + 1)
                if len(line) > longest:
                    told = f"{where}: {_too_long(limits)}"
                    if skip is None:
                        raise InvalidInput(told)
                    skip(told)
                    while line and not line.endswith(b"\n"):
                        line = _next(lines, where, _BLOCK)
                    number += 1
                    continue
            except InvalidInput as error:
                if skip is None:
                    raise
                skip(f"{error}; what follows there is not read")
                return
            if not line:
                return
            yield number, line
            number += 1


def read_blocks(file: Path, *, limits: ReadingLimits = DEFAULT) -> Iterator[bytes]:
    """The same bytes in blocks of whole lines, of some megabytes.

    Raises `InvalidInput` where `read_lines` might, without the place; `MissingDependency`;
    `OSError`. Memory: two blocks.
    """
    with file.open("rb") as raw:
        unpacked = _unpacked(raw, file)
        rest = b""
        try:
            while chunk := unpacked.read(_BLOCK):
                if len(rest) + len(chunk) > limits.line_bytes:
                    raise InvalidInput(f"{visible(str(file))}: a line may be too long")
                end = chunk.rfind(b"\n") + 1
                if end:
                    yield rest + chunk[:end]
                    rest = b""
                rest += chunk[end:]
        except (_Damage, EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise InvalidInput(f"{visible(str(file))}: {error}") from None
        if rest:
            yield rest


def _next(lines: BinaryIO, where: str, size: int) -> bytes:
    """The next line, or its first bytes."""
    try:
        return lines.readline(size)
    except _Damage as error:
        raise InvalidInput(f"{where}: here {error}") from None
    except EOFError:
        raise InvalidInput(
            f"{where}: here the packed data end too early, as after an interrupted copy"
        ) from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InvalidInput(f"{where}: here the packed data are damaged ({error})") from None


def _too_long(limits: ReadingLimits | None) -> str:
    if limits is None:
        return f"a line of more than {DEFAULT.line_mib} MiB; none is read"
    return limits.over("line_mib", "a line of more than {}")


def _unpacked(raw: io.BufferedReader, file: Path) -> Any:
    begin = raw.peek(len(_ZSTANDARD))
    if begin.startswith(_GZIP):
        return gzip.GzipFile(fileobj=raw)
    if begin.startswith(_ZSTANDARD):
        return io.BufferedReader(_Zstandard(raw, file), buffer_size=1 << 16)
    return raw


class _Damage(Exception):  # noqa: N818 (no error of ours: it becomes one)
    """Of a Zstandard file, in words."""


class _Zstandard(io.RawIOBase):
    """One frame after the other. The package's own reader takes a file that was cut short for a
    whole one."""

    def __init__(self, packed: BinaryIO, file: Path) -> None:
        try:
            import zstandard
        except ModuleNotFoundError:
            raise MissingDependency(
                f"{visible(str(file))} is packed with Zstandard: pip install 'w2stree[zst]', or "
                "unpack it with zstd -d"
            ) from None
        self._zstandard = zstandard
        self._packed = packed
        self._frame: Any = None
        self._unpacked = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._unpacked:
            if not (chunk := self._packed.read(_CHUNK)):
                if self._frame is not None:
                    raise EOFError
                return 0
            try:
                self._unpacked = memoryview(b"".join(self._unpack(chunk)))
            except self._zstandard.ZstdError as error:
                raise _Damage(f"the packed data are damaged ({error})") from None
        size = min(len(buffer), len(self._unpacked))
        buffer[:size] = self._unpacked[:size]
        self._unpacked = self._unpacked[size:]
        return size

    def _unpack(self, chunk: bytes) -> Iterator[bytes]:
        while chunk:
            if self._frame is None:
                self._frame = self._zstandard.ZstdDecompressor().decompressobj()
            yield self._frame.decompress(chunk)
            chunk = b""
            if self._frame.eof:
                chunk, self._frame = self._frame.unused_data, None
