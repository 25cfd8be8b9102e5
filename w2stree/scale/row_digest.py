"""A digest of rows, equal for any order of them and any number of tables that they are in.

row ──canonical JSON──> BLAKE2b, 128 bits ──┐
row ──────────────────────────────────────> + ──> sum mod 2**128, in hex
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

_SIZE = 16
_MASK = 2 ** (8 * _SIZE) - 1
_OF_A_FOREST = frozenset({"divergence", "node", "run"})
"""Columns that number within the forest of one shard."""


def digest_of_rows(table: Any) -> str:
    """Of all columns but those that number within one shard. Equal rows count as often as they are
    there. O(bytes of the rows as JSON), some 20 microseconds a row of a few turns."""
    names = [name for name in table.column_names if name not in _OF_A_FOREST]
    total = 0
    for batch in table.select(names).to_batches(max_chunksize=1024):
        total += sum(map(_hashed, batch.to_pylist()))
    return f"{total & _MASK:032x}"


def sum_of_digests(digests: Iterable[str]) -> str:
    """Of the rows of several tables together."""
    return f"{sum(int(digest, 16) for digest in digests) & _MASK:032x}"


def _hashed(row: dict[str, Any]) -> int:
    return _hashed_text(json.dumps(row, sort_keys=True, separators=(",", ":")))


def _hashed_text(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8"), digest_size=_SIZE).digest(), "big")


def digest_of_json(texts: Iterable[str]) -> str:
    """Of records that are JSON already."""
    return f"{sum(map(_hashed_text, texts)) & _MASK:032x}"
