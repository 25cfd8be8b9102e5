"""What an embedding says of texts, asked once for each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from w2stree.errors import InvalidInput
from w2stree.forest.embedding import Embed
from w2stree.shorten import quoted

_BATCH_SIZE = 256  # texts given to `embed` at once
_SHORTEST, _LONGEST = 1e-12, 1e18


class Vectors:
    """The vectors of the texts seen so far, handed on from a forest to those that grow from it:
    they embed new texts only."""

    __slots__ = ("_vectors",)

    def __init__(self) -> None:
        self._vectors: dict[str, NDArray[np.float32]] = {}

    @classmethod
    def joined(cls, parts: Iterable[Vectors]) -> Vectors:
        """Those of several forests of one rule."""
        joined = cls()
        for part in parts:
            joined._vectors.update(part._vectors)
        return joined

    def of(self, texts: Sequence[str], embed: Embed) -> NDArray[np.float32]:
        """`[num_texts, dimension]`. Raises `InvalidInput` where `embed` returns another shape, or
        a vector without a direction."""
        missing = list(dict.fromkeys(text for text in texts if text not in self._vectors))
        for begin in range(0, len(missing), _BATCH_SIZE):
            self._keep(missing[begin : begin + _BATCH_SIZE], embed)
        if not len(texts):
            return np.zeros((0, 1), np.float32)
        return np.stack([self._vectors[text] for text in texts])

    def _keep(self, batch: list[str], embed: Embed) -> None:
        # A copy: `embed` may write into its answer again, and these are kept as long as the forest.
        vectors = np.array(embed(batch), np.float32)
        if vectors.ndim != 2 or len(vectors) != len(batch):
            raise InvalidInput(
                f"embed returned shape {vectors.shape} for {len(batch)} texts; "
                f"expected ({len(batch)}, dimension)"
            )
        known = next(iter(self._vectors.values()), vectors[0])
        if vectors.shape[1] != known.size:
            raise InvalidInput(
                f"embed returned {vectors.shape[1]} dimensions after {known.size}; "
                "use one model for all texts"
            )
        for text, vector in zip(batch, vectors, strict=True):
            if not np.isfinite(vector).all() or not vector.any():
                raise InvalidInput(
                    f"embed returned a vector that is zero or not finite for {quoted(text, 80)}"
                )
            length = float(np.linalg.norm(vector.astype(np.float64)))
            if not _SHORTEST <= length <= _LONGEST:
                raise InvalidInput(
                    f"embed returned a vector of length {length:.3g} for {quoted(text, 80)}, which "
                    "single precision cannot compare; make its vectors of length 1"
                )
        self._vectors.update(zip(batch, vectors, strict=True))
