"""One choice among texts, spelled token by token: which token may come next.

    "go north"  "go south"  "go"          written   go
                                          allowed   " n" " nor" " north" " s" …  or the turn's end

Any spelling will do: whatever tokens join to one of the texts, byte by byte, so the probability of
a text is the sum over its spellings. What the texts that are left have in common leaves nothing to
choose: it is written as the tokenizer writes it, without asking.
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
    """A place in a choice: `written` on the way to it, and what may follow.

    `allowed` are the ids that may come next, sorted; none where the choice is made. `is_end`: the
    turn may end here. Raises `ModelFailure` where the tokenizer has no token to go on with.
    """

    __slots__ = ("after", "allowed", "is_end", "rests", "written")

    def __init__(
        self, rests: frozenset[Rest], vocabulary: Vocabulary, ends: frozenset[int]
    ) -> None:
        self.after: dict[int, Place] = {}
        self.written = _in_common(rests, vocabulary)
        self.rests = rests
        for token in self.written:
            self.rests = _after(self.rests, token, vocabulary)
        texts = {rest.text for rest in self.rests}
        self.is_end = b"" in texts
        ids = {token for text in texts for token in vocabulary.beginnings(text)}
        if not ids and not self.is_end:
            raise ModelFailure(f"the tokenizer has no tokens to write one of {sorted(texts)} with")
        ids |= ends if ids and self.is_end else set()
        self.allowed: NDArray[np.int64] = np.array(sorted(ids), dtype=np.int64)
        self.allowed.flags.writeable = False

    @property
    def is_made(self) -> bool:
        """Whether one text alone was left, and is written."""
        return not len(self.allowed)


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
            place.after[token] = self.among(_after(place.rests, token, self._vocabulary))
        return place.after[token]

    def _make_place(self, rests: frozenset[Rest]) -> Place:
        return Place(rests, self._vocabulary, self._ends)


def _in_common(rests: frozenset[Rest], vocabulary: Vocabulary) -> tuple[int, ...]:
    """The tokens that leave no choice: the rest of the only text, or what all own spellings share.

    An only text is finished in the longest tokens, where another spelling was begun.
    """
    owns = [rest.own for rest in rests if rest.own is not None]
    texts = {rest.text for rest in rests}
    if len(texts) == 1:
        return owns[0] if owns else vocabulary.spelling(*texts)
    return _common_beginning(owns) if len(owns) == len(rests) else ()


def _after(rests: frozenset[Rest], token: int, vocabulary: Vocabulary) -> frozenset[Rest]:
    written = vocabulary[token] or b""
    return frozenset(
        Rest(
            text[len(written) :],
            own[1:] if own is not None and own[:1] == (token,) else None,
        )
        for text, own in rests
        if text.startswith(written)
    )


def _common_beginning(sequences: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    first, last = min(sequences), max(sequences)
    same = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return tuple(token for token, _ in same)
