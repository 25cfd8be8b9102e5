"""What a model's score is taken of: token ids, and how much each counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from w2stree.errors import InvalidInput

_GREATEST = np.iinfo(np.int32).max


@dataclass(frozen=True, slots=True, eq=False)
class ScoredIds:
    """A sequence whose score is `sum_t weight[t] * log p(ids[t] | ids[:t])`.

    ids      u u u  a a a  o o  a a
    weight   0 0 0  1 1 1  0 0  1 1       a mask; an advantage; minus one

    `ids` is int32, `weight` float32, both `[length]`. The first token has nothing before it, so its
    weight must be 0. `tree` says which sequences may share: equal beginnings of one tree are
    computed once, those of two trees apart.

    Raises `InvalidInput` for another shape or dtype, no token, a negative id, a first token that
    counts, or a weight that is no finite number.
    """

    ids: NDArray[np.int32]
    weight: NDArray[np.float32]
    tree: int = 0

    def __post_init__(self) -> None:
        if self.ids.dtype != np.int32 or self.weight.dtype != np.float32:
            raise InvalidInput(
                f"ids are {self.ids.dtype} and weights {self.weight.dtype}; give int32 and float32"
            )
        if self.ids.ndim != 1 or self.ids.shape != self.weight.shape or not len(self.ids):
            raise InvalidInput(
                f"ids of shape {self.ids.shape} with weights of shape {self.weight.shape}; give "
                "one weight a token, and a token at least"
            )
        if self.ids.min() < 0:
            place = int(np.argmax(self.ids < 0))
            raise InvalidInput(f"ids[{place}]={self.ids[place]}; ids are 0 to {_GREATEST:,}")
        if self.weight[0]:
            raise InvalidInput("the first token's weight is not 0, but nothing comes before it")
        if not np.isfinite(self.weight).all():
            raise InvalidInput("a weight is no finite number")

    @classmethod
    def of(cls, ids: Sequence[int], weight: Sequence[float], tree: int = 0) -> ScoredIds:
        """From lists, or arrays of other types. Raises `InvalidInput` also for ids that are no
        whole numbers or not below 2^31."""
        return cls(_int32(ids), np.asarray(weight, np.float32), tree)


def _int32(ids: Sequence[int]) -> NDArray[np.int32]:
    """Never wrapped around or cut off in silence."""
    given = np.asarray(ids)
    if not given.size:
        return given.astype(np.int32)
    if given.dtype.kind not in "iu":
        raise InvalidInput(f"ids are {given.dtype}; give whole numbers below 2^31")
    if given.min() < 0 or given.max() > _GREATEST:
        place = int(np.argmax((given < 0) | (given > _GREATEST)))
        raise InvalidInput(f"ids[{place}]={given.flat[place]}; ids are 0 to {_GREATEST:,}")
    return given.astype(np.int32)


def distinct(sequences: Sequence[ScoredIds]) -> tuple[list[ScoredIds], NDArray[np.int64]]:
    """Each sequence once, in order of first appearance, and which of these every one is.

    Two are the same if ids, weights and tree are. An object given again, as in all the pairs of a
    run, costs a look-up; of others O(tokens) bytes are hashed.
    """
    by_object: dict[int, int] = {}
    by_content: dict[tuple[int, bytes, bytes], int] = {}
    kept: list[ScoredIds] = []
    which = np.empty(len(sequences), np.int64)
    for i, sequence in enumerate(sequences):
        number = by_object.get(id(sequence))
        if number is None:
            content = (sequence.tree, sequence.ids.tobytes(), sequence.weight.tobytes())
            number = by_content.setdefault(content, len(kept))
            by_object[id(sequence)] = number
            if number == len(kept):
                kept.append(sequence)
        which[i] = number
    return kept, which
