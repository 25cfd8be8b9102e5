"""Blocks of columns, packed with Zstandard: each has a checksum of its own.

lengths   3 1 700 …   four planes of bytes, the lowest first: most of them are zero
texts     one after another
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2stree.errors import MissingDependency

_PLANES = 4


class DamagedBlock(Exception):  # noqa: N818 (no error of ours: who knows the place makes one of it)
    """A block cannot be unpacked, or is not as long as it should be."""


def zstandard() -> Any:
    """The package; `MissingDependency` where it is absent."""
    try:
        import zstandard
    except ModuleNotFoundError:
        raise MissingDependency("a store needs zstandard: pip install 'w2stree[zst]'") from None
    return zstandard


@lru_cache(maxsize=8)
def packer(level: int) -> Any:
    """What packs with this level: `.compress(bytes)`; of one thread."""
    return zstandard().ZstdCompressor(level=level, write_checksum=True)


def packer_with(sample: bytes, level: int) -> Any:
    """The same for blocks of texts that are like a sample: they may refer to it."""
    module = zstandard()
    dictionary = module.ZstdCompressionDict(sample, dict_type=module.DICT_TYPE_RAWCONTENT)
    dictionary.precompute_compress(level=level)
    return module.ZstdCompressor(level=level, dict_data=dictionary, write_checksum=True)


@lru_cache(maxsize=1)
def unpacker() -> Any:
    return zstandard().ZstdDecompressor()


def unpacker_with(sample: bytes) -> Any:
    """Of what was packed with this sample."""
    module = zstandard()
    dictionary = module.ZstdCompressionDict(sample, dict_type=module.DICT_TYPE_RAWCONTENT)
    return module.ZstdDecompressor(dict_data=dictionary)


def unpack(packed: Any, max_bytes: int, by: Any = None) -> bytes:
    """What was packed, checked by its checksum; `by` the unpacker that has its sample. Raises
    `DamagedBlock`, also for what would be larger than `max_bytes`."""
    module = zstandard()
    try:
        size = module.frame_content_size(packed)
        if not 0 <= size <= max_bytes:
            raise DamagedBlock(f"it says that it unpacks to {size} bytes")
        unpacked: bytes = (by or unpacker()).decompress(packed)
    except module.ZstdError as error:
        raise DamagedBlock(str(error)) from None
    return unpacked


def to_planes(values: NDArray[Any]) -> bytes:
    """`[n]` whole numbers below 2**32 as 4 n bytes: all lowest bytes, then all second ones, …"""
    bytes_ = np.ascontiguousarray(values, "<u4").view(np.uint8).reshape(-1, _PLANES)
    return np.ascontiguousarray(bytes_.T).tobytes()


class Planes:
    """The `count` numbers of which the planes begin at byte `start`. They are put together when
    they are asked for, so that some of many cost little. Raises `DamagedBlock` where they are not
    all there."""

    def __init__(self, data: bytes, count: int, start: int = 0) -> None:
        size = count * _PLANES
        if len(data) < start + size:
            raise DamagedBlock(f"it has {len(data)} bytes; expected {start + size} at least")
        self._planes = np.frombuffer(data, np.uint8, size, start).reshape(_PLANES, count)

    def numbers(self, begin: int = 0, end: int | None = None) -> NDArray[np.int64]:
        """Those from `begin` on, before `end` (all)."""
        columns = np.ascontiguousarray(self._planes[:, begin:end].T)
        return columns.view("<u4").reshape(len(columns)).astype(np.int64)

    def num_zeros(self, end: int) -> int:
        """How many of those before `end` are zero."""
        return end - int(np.count_nonzero(np.bitwise_or.reduce(self._planes[:, :end], axis=0)))
