"""The digest of a whole forest from the digests of its shards, none of which is opened.

digest(forest) = seal(sum over its trees, num_trees, num_nodes, num_trajectories)

`cpp/include/w2stree/file/digest.hpp` has the rule. A seal is a bijection of the sum, where the
counts are known: each shard's is undone, the sums and the counts are added up, and sealed again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

_BITS, _MASK = 64, 2**64 - 1
_PRIME_1, _PRIME_2, _PRIME_3, _PRIME_4 = (
    0x9E3779B185EBCA87,
    0xC2B2AE3D27D4EB4F,
    0x165667B19E3779F9,
    0x85EBCA77C2B2AE63,
)
_INVERSE_1, _INVERSE_2, _INVERSE_3 = (pow(p, -1, 2**64) for p in (_PRIME_1, _PRIME_2, _PRIME_3))


class ShardDigest(NamedTuple):
    """`Forest.digest()` of a shard, and the counts that are sealed in it."""

    digest: str
    num_trees: int
    num_nodes: int
    num_trajectories: int


def digest_of_shards(shards: Iterable[ShardDigest]) -> str:
    """`merge_forests(shards).digest()`, of shards that share no task. O(number of shards).

    Where the rule of merging compares by similarity it is the digest of what the shards hold: one
    process, which sees all tasks' texts, may have merged otherwise."""
    sums, counts = [0, 0], [0, 0, 0]
    for digest, *of_shard in shards:
        lanes = int(digest[:16], 16), int(digest[16:], 16)
        sums = [(s + _unseal(lane, of_shard)) & _MASK for s, lane in zip(sums, lanes, strict=True)]
        counts = [all_ + one for all_, one in zip(counts, of_shard, strict=True)]
    return "".join(f"{_seal(lane, counts):016x}" for lane in sums)


def _seal(value: int, counts: list[int]) -> int:
    for count in counts:
        value = (_rotated(value ^ _round(count), 27) * _PRIME_1 + _PRIME_4) & _MASK
    value = (value ^ value >> 33) * _PRIME_2 & _MASK
    value = (value ^ value >> 29) * _PRIME_3 & _MASK
    return value ^ value >> 32


def _unseal(value: int, counts: list[int]) -> int:
    value = _unshifted(value, 32) * _INVERSE_3 & _MASK
    value = _unshifted(value, 29) * _INVERSE_2 & _MASK
    value = _unshifted(value, 33)
    for count in reversed(counts):
        value = _rotated((value - _PRIME_4) * _INVERSE_1 & _MASK, _BITS - 27) ^ _round(count)
    return value


def _round(count: int) -> int:
    return _rotated(count * _PRIME_2 & _MASK, 31) * _PRIME_1 & _MASK


def _rotated(value: int, by: int) -> int:
    return (value << by | value >> (_BITS - by)) & _MASK


def _unshifted(value: int, by: int) -> int:
    """x of x ^ x >> by."""
    found = value
    for _ in range(_BITS // by):
        found = value ^ found >> by
    return found
