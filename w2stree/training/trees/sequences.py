"""What a model's score is taken of: token ids, and how much each counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from w2stree.errors import InvalidInput


@dataclass(frozen=True, slots=True, eq=False)
class ScoredIds:
    """A sequence whose score is `sum_t weight[t] * log p(ids[t] | ids[:t])`.

    ids      u u u  a a a  o o  a a
    weight   0 0 0  1 1 1  0 0  1 1       a mask; an advantage; minus one

    `ids` is int32, `weight` float32, both `[length]`. The first token has nothing before it, so its
    weight must be 0. `tree` says which sequences may share: equal beginnings of one tree are
    computed once, those of two trees apart.

    Raises `InvalidInput` for another shape or dtype, no token, a first token that counts, or a
    weight that is no number.
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
        if self.weight[0]:
            raise InvalidInput("the first token's weight is not 0, but nothing comes before it")
        if not np.isfinite(self.weight).all():
            raise InvalidInput("a weight is no finite number")

    @classmethod
    def of(cls, ids: Sequence[int], weight: Sequence[float], tree: int = 0) -> ScoredIds:
        """From lists."""
        return cls(np.asarray(ids, np.int32), np.asarray(weight, np.float32), tree)
