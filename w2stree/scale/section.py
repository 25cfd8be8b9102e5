"""Rows of a piece by bucket, so that a bucket's own are one read.

    fragment of bucket 0 │ of 1 │ of 3 │ …   a message of Arrow: its bytes (int64), then zstd of it
    begin of 0 │ of 1 │ of 2 │ … │ end       int64, little-endian; a bucket without rows has none

A fragment is packed as a whole. Arrow's own files pack each column of each batch by itself, some 45
times a batch, which for batches of a few rows costs ten times the time and more than half of the
space.
"""

from __future__ import annotations

from itertools import pairwise
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

_WORD = np.dtype("<i8")


def write_section(
    pa: Any, file: IO[bytes], rows: Any, buckets: NDArray[np.int32], num_buckets: int
) -> None:
    """Appends the rows, a table of one batch, each in the bucket that `buckets` says, in their
    order. Memory: the rows once more, and the greatest fragment twice."""
    codec = pa.Codec("zstd")
    order = np.argsort(buckets, kind="stable")  # runs of a task stay in their order
    bounds = np.searchsorted(buckets[order], np.arange(num_buckets + 1))
    ordered = rows.take(pa.array(order)).combine_chunks().to_batches()[0]
    begins = np.empty(num_buckets + 1, _WORD)
    begins[0] = file.tell()
    for bucket, (begin, end) in enumerate(pairwise(bounds)):
        if begin < end:
            message = ordered.slice(begin, end - begin).serialize()
            file.write(_WORD.type(message.size).tobytes())
            file.write(codec.compress(message))
        begins[bucket + 1] = file.tell()
    file.write(begins.tobytes())


def read_fragment(
    pa: Any, file: IO[bytes], end: int, bucket: int, num_buckets: int, schema: Any
) -> Any:
    """The batch of a bucket's rows in the section that ends at byte `end` of the file; None where
    it has none."""
    file.seek(end - _WORD.itemsize * (num_buckets + 1 - bucket))
    begin, stop = np.frombuffer(file.read(2 * _WORD.itemsize), _WORD).tolist()
    if begin == stop:
        return None
    file.seek(begin)
    fragment = file.read(stop - begin)
    size = int(np.frombuffer(fragment, _WORD, 1)[0])
    message = pa.Codec("zstd").decompress(memoryview(fragment)[_WORD.itemsize :], size)
    return pa.ipc.read_record_batch(message, schema)


def has_rows(file: IO[bytes], end: int, num_buckets: int) -> NDArray[np.bool_]:
    """Of each bucket, whether the section that ends at byte `end` has some of its rows."""
    file.seek(end - _WORD.itemsize * (num_buckets + 1))
    begins = np.frombuffer(file.read(_WORD.itemsize * (num_buckets + 1)), _WORD)
    return np.asarray(begins[1:] > begins[:-1])
