"""Records as they were read, without those that had been read before.

key, gist   of each row ──shared with another?──no──>  counts
                                  └─yes─> `Repeats`, which compares the two
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from w2stree.trajectories.records import Records
from w2stree.trajectories.repeats import Repeats


class AnyPlaces(Protocol):
    """Where each of many trajectories stands: `Places` of files, `RowPlaces` of a table."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> str: ...
    def select(self, is_kept: NDArray[np.bool_]) -> Self: ...


P = TypeVar("P", bound=AnyPlaces)


@dataclass(frozen=True, slots=True)
class RecordsRead(Generic[P]):
    """The trajectories that count, and where each stands."""

    records: Records
    places: P


def counted_once(
    records: Records,
    places: P,
    key: NDArray[np.int32],
    gist: NDArray[np.uint64],
    repeats: Repeats,
) -> RecordsRead[P]:
    """Without the trajectories that were read before (`Repeats`).

    key: `[num_records]` equal where task, seed, sample, attempt, player and sampling are; negative
        without a seed or a sample.
    gist: `[num_records]` equal where trajectories are, and hardly ever else.
    """
    is_new = np.ones(len(records), np.bool_)
    for i in np.flatnonzero(may_be_repeats(key, gist)).tolist():
        own_key = int(key[i]) if key[i] >= 0 else None
        is_new[i] = repeats.counts(_Row(records, i), own_key, int(gist[i]), places[i])
    return RecordsRead(records.select(is_new), places.select(is_new))


def may_be_repeats(key: NDArray[np.int32], gist: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """The rows that `Repeats` has to see: those that share their key, or without one their gist."""
    is_suspect = np.zeros(len(key), np.bool_)
    for of_kind, shared in ((key >= 0, key), (key < 0, gist)):
        _, group, size = np.unique(shared[of_kind], return_inverse=True, return_counts=True)
        is_suspect[of_kind] = size[group] > 1
    return is_suspect


class _Row:
    """A row, to be compared: mostly a copy to the letter or something else altogether."""

    __slots__ = ("_records", "_row")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, records: Records, row: int) -> None:
        self._records, self._row = records, row

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Row):
            return NotImplemented
        return self._records.is_equal(self._row, other._row)
