"""Which bucket a task's runs are in, on every machine and for ever.

"task-3" ──UTF-8──> XXH64, seed 0 ──mod num_buckets──> 5 ──> bucket=0005/

Any library of xxHash gives the same number, so that files made elsewhere can be told to fit.
"""

from __future__ import annotations

from collections.abc import Iterable

from w2stree import _core
from w2stree.errors import InvalidInput
from w2stree.forest.arguments import whole

HASH = "xxh64(task_id as UTF-8, seed 0) mod num_buckets"
"""The rule in words, as manifests have it."""

_MOST = 1_000_000


def check_num_buckets(num_buckets: int) -> int:
    """Raises `InvalidInput` for what is no whole number of 1 to 1,000,000."""
    count = whole("num_buckets", num_buckets)
    if not 1 <= count <= _MOST:
        raise InvalidInput(f"num_buckets={num_buckets}; expected 1 to {_MOST:,}")
    return count


def bucket_of(task_id: str, num_buckets: int) -> int:
    """The bucket of a task, from 0. Halves of surrogate pairs, which UTF-8 has not, are hashed as
    Python's `surrogatepass` writes them."""
    return _core.xxh64(task_id.encode("utf-8", "surrogatepass")) % num_buckets


def buckets_of(task_ids: Iterable[str], num_buckets: int) -> list[int]:
    """`bucket_of` each: a task that comes again is not hashed again."""
    known: dict[str, int] = {}
    found = []
    for task_id in task_ids:
        if (bucket := known.get(task_id)) is None:
            bucket = known[task_id] = bucket_of(task_id, num_buckets)
        found.append(bucket)
    return found


def bucket_name(bucket: int) -> str:
    """Its folder's, as Hive's partitions are named: bucket=0007."""
    return f"bucket={bucket:04}"
