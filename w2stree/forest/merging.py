"""Which observations count as the same state, besides equal ones.

normalize    "a key, a lamp" and "a lamp, a key" become one text        exact, order-insensitive
similar      cosine(embed(x), embed(y)) >= min_similarity               the authors' rule, 0.9
guard        "is open" / "is closed", 2 coins / 3 coins: never merged   what embeddings miss
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2stree import _core
from w2stree.errors import InvalidInput

Embed = Callable[[list[str]], NDArray[np.floating]]
"""Texts to vectors `[num_texts, dimension]`; only directions count."""

_BATCH_SIZE = 256  # texts given to `embed` at once

# Words that turn a state into another while the sentence stays alike (cosine 0.8 and more).
_STATE_WORDS = frozenset(
    """
    not no never nothing none nobody cannot cant isnt arent wasnt dont doesnt didnt wont without
    open opened closed shut locked unlocked on off up down left right full empty hot cold warm
    clean dirty wet dry alive dead north south east west inside outside before after more less
    true false yes success successful succeeded fail failed failure correct incorrect wrong
    valid invalid able unable possible impossible first second third last
    """.split()  # noqa: SIM905 (a list of eighty words is harder to read)
)
_WORD = re.compile(r"\d+(?:\.\d+)?|[^\W\d_]+")


def state_words(text: str) -> tuple[str, ...]:
    """Numbers, negations and opposites in a text, in order: texts that differ in them do not
    describe one state, however similar their embeddings. The default guard."""
    words = _WORD.findall(
        text.lower().replace("'", "").replace("\N{RIGHT SINGLE QUOTATION MARK}", "")
    )
    return tuple(word for word in words if word[0].isdigit() or word in _STATE_WORDS)


def sort_words(text: str) -> str:
    """The words of a text in alphabetical order: a normaliser for environments that list the
    same objects in random order. Texts of the same words count as equal."""
    return " ".join(sorted(_WORD.findall(text.lower())))


@dataclass(frozen=True, slots=True)
class ObservationMerge:
    """Two observations that counted as one state because they were similar."""

    made: str
    """Of the trajectory that made the node, which the node keeps."""
    seen: str
    """Of a later trajectory, which went through the same node."""
    count: int
    """Steps this happened to."""


class Merging:
    """The rule a forest merges observations by: equality, unless told otherwise.

    A step goes to the first child, in the order they were made, with the same action and the
    same or a similar observation; a child is compared by the observation of the trajectory that
    made it. So merging by similarity depends on the order of trajectories (equality does not).

    `embed` is called once for each distinct text, in batches; what it returned is kept, so that
    a forest that grows embeds new texts only.
    """

    __slots__ = ("_vectors", "embed", "guard", "min_similarity", "normalize")

    def __init__(
        self,
        *,
        normalize: Callable[[str], str] | None = None,
        min_similarity: float | None = None,
        embed: Embed | None = None,
        guard: Callable[[str], Hashable] | None = state_words,
    ) -> None:
        """See `build_forest` for the options. Raises `InvalidInput` unless 0 < min_similarity
        <= 1, and where one of `min_similarity` and `embed` is given without the other."""
        if (min_similarity is None) != (embed is None):
            given, missing = ("embed", "min_similarity")[:: 1 if embed is not None else -1]
            raise InvalidInput(f"{given} is given without {missing}; give both or neither")
        if min_similarity is not None and not 0.0 < min_similarity <= 1.0:
            raise InvalidInput(f"min_similarity={min_similarity}; expected a number in (0, 1]")
        self.normalize = normalize
        self.min_similarity = min_similarity
        self.embed = embed
        self.guard = guard
        self._vectors: dict[str, NDArray[np.float32]] = {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Merging) and self._rule() == other._rule()

    def __hash__(self) -> int:
        return hash(self._rule())

    def extend(
        self, forest: _core.Forest, columns: dict[str, Any], observations: Sequence[str]
    ) -> tuple[_core.Forest, tuple[ObservationMerge, ...]]:
        """The core's forest grown by columns whose observation ids index `observations`."""
        if self.embed is None or self.min_similarity is None:
            return _core.extend_forest(forest, **columns), ()
        grown, made, seen, count = _core.extend_similar_forest(
            forest,
            **columns,
            embedding=self._embedding(observations),
            min_similarity=self.min_similarity,
            guard=self._guard_ids(observations),
        )
        merges = zip(made.tolist(), seen.tolist(), count.tolist(), strict=True)
        return grown, tuple(
            ObservationMerge(observations[m], observations[s], n) for m, s, n in merges
        )

    def _rule(self) -> tuple[object, ...]:
        if self.embed is None:
            return (self.normalize,)
        return (self.normalize, self.min_similarity, self.embed, self.guard)

    def _embedding(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """`[num_texts, dimension]`."""
        missing = list(dict.fromkeys(text for text in texts if text not in self._vectors))
        for begin in range(0, len(missing), _BATCH_SIZE):
            self._keep(missing[begin : begin + _BATCH_SIZE])
        if not len(texts):
            return np.zeros((0, 1), np.float32)
        return np.stack([self._vectors[text] for text in texts])

    def _guard_ids(self, texts: Iterable[str]) -> NDArray[np.int32]:
        """`[num_texts]` class of each text, numbered by first appearance; empty: one class."""
        if self.guard is None:
            return np.zeros(0, np.int32)
        ids: dict[Hashable, int] = {}
        return np.array([ids.setdefault(self.guard(t), len(ids)) for t in texts], np.int32)

    def _keep(self, batch: list[str]) -> None:
        assert self.embed is not None
        vectors = np.asarray(self.embed(batch), np.float32)
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
                    f"embed returned a vector that is zero or not finite for {text[:80]!r}"
                )
        self._vectors.update(zip(batch, vectors, strict=True))
