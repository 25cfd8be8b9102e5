"""The way from a sequence's first token to each leaf of a pack.

    pack        u a b c d e    position 0 1 2 3 3 2
    runs        u a b c | d | e                     queries: nodes up to the next leaf
    keys        u a b c | u a b d | u a e           each run's whole path; the run is its end

Pre-order makes the nodes between two leaves a chain that ends at the second, so every node is a
query once, and a run's queries see their path as the last tokens of a sequence see theirs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Paths:
    """Run r has the queries `query_offset[r]:query_offset[r + 1]` and the keys
    `key[key_offset[r]:key_offset[r + 1]]`."""

    query_offset: Ints
    """`[num_leaves + 1]`"""
    key: Ints
    """`[sum of the paths' lengths]` nodes."""
    key_offset: Ints
    """`[num_leaves + 1]`"""

    @classmethod
    def of(cls, position: Ints) -> Paths:
        """From depths in pre-order. O(sum of the paths' lengths)."""
        begins = np.flatnonzero(np.diff(position, prepend=position[0]) != 1)
        query_offset = np.append(begins, len(position))
        lengths = position[query_offset[1:] - 1] + 1
        key_offset = np.concatenate([[0], np.cumsum(lengths)])
        key = np.empty(key_offset[-1], np.int64)
        at_depth = np.empty(lengths.max(), np.int64)  # the node on the current path
        runs = zip(query_offset[:-1], query_offset[1:], key_offset[:-1], lengths, strict=True)
        for begin, end, where, length in runs:
            at_depth[position[begin] : length] = np.arange(begin, end)
            key[where : where + length] = at_depth[:length]
        return cls(query_offset, key, key_offset)

    @property
    def num_runs(self) -> int:
        return len(self.query_offset) - 1
