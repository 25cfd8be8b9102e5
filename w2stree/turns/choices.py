"""One choice among texts, spelled token by token: which token may come next.

    "go north"  "go south"  "go"          after the token " go":
                                          " n" " nor" " north" …  or the end of the turn

Any spelling will do: whatever tokens join to one of the texts, byte by byte. So the probability
of a text is the sum over its spellings, as where a server constrains text. Once one text alone is
left and its spelling so far is the tokenizer's own, nothing is left to choose: the rest is written
as the tokenizer writes it, at no cost.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import takewhile
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2stree.errors import ModelFailure
from w2stree.turns.vocabulary import Vocabulary

_NUM_KEPT = 2**12


class Rest(NamedTuple):
    """What is left to write of one text; `own` is the tokenizer's spelling of it.

    None where another spelling was begun, which the tokenizer's may not go on from.
    """

    text: bytes
    own: tuple[int, ...] | None


class Place:
    """A place in a choice: the texts that are still possible, `rests`, and what may follow.

    `allowed` are the ids that may come next, sorted. `forced` is the rest of the only text left,
    where it is written without asking. Raises `ModelFailure` where no token can follow.
    """

    __slots__ = ("after", "allowed", "forced", "is_end", "rests")

    def __init__(
        self, rests: frozenset[Rest], vocabulary: Vocabulary, ends: frozenset[int]
    ) -> None:
        self.rests = rests
        self.after: dict[int, Place] = {}
        texts = {rest.text for rest in rests}
        self.is_end = b"" in texts
        ids = {token for text in texts for token in vocabulary.beginnings(text)}
        ids |= ends if self.is_end else set()
        if not ids:
            raise ModelFailure(f"the tokenizer has no tokens to write one of {sorted(texts)} with")
        self.allowed: NDArray[np.int64] = np.array(sorted(ids), dtype=np.int64)
        self.allowed.flags.writeable = False
        self.forced: tuple[int, ...] | None = None
        if texts == {b""}:
            self.forced = ()
        elif len(texts) == 1:
            self.forced = next((rest.own for rest in rests if rest.own is not None), None)


class Choices:
    """Places of choices, kept, so that equal places are one object with one `allowed`.

    `ends` are the ids that end a turn: those that may follow a whole text.
    """

    def __init__(self, vocabulary: Vocabulary, ends: Iterable[int]) -> None:
        self._vocabulary, self._ends = vocabulary, frozenset(ends)
        self._place = lru_cache(_NUM_KEPT)(self._make_place)

    def among(self, rests: Iterable[Rest]) -> Place:
        """The place where each of these texts is still to be written."""
        return self._place(frozenset(rests))

    def after(self, place: Place, token: int) -> Place:
        """The place that a token of `place.allowed` leads to, other than an end."""
        if token not in place.after:
            written = self._vocabulary[token] or b""
            place.after[token] = self.among(
                Rest(
                    text[len(written) :],
                    own[1:] if own is not None and own[:1] == (token,) else None,
                )
                for text, own in place.rests
                if text.startswith(written)
            )
        return place.after[token]

    def _make_place(self, rests: frozenset[Rest]) -> Place:
        return Place(rests, self._vocabulary, self._ends)


def common_beginning(sequences: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The ids that all sequences begin with."""
    first, last = min(sequences), max(sequences)
    same = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return tuple(token for token, _ in same)
