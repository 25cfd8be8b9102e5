"""One choice among sequences of tokens: which may come next.

    Ġgo Ġnorth · Ġgo Ġsouth · Ġgo          written   Ġgo
                                           allowed   Ġnorth Ġsouth or a mark that ends the turn

What the sequences that are left have in common leaves nothing to choose: it is written without
asking.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

_NUM_KEPT = 2**12

Sequences = frozenset[tuple[int, ...]]


class Place:
    """A place in a choice: `written` on the way to it, and what may follow.

    `allowed` are the ids that may come next, sorted; none where the choice is made. `is_end`: one
    of the sequences is complete here.
    """

    __slots__ = ("allowed", "is_end", "rests", "written")

    def __init__(self, rests: Sequences, ends: frozenset[int]) -> None:
        self.written = _common_beginning(rests)
        self.rests = frozenset(rest[len(self.written) :] for rest in rests)
        self.is_end = () in self.rests
        ids = {rest[0] for rest in self.rests if rest}
        ids |= ends if ids and self.is_end else set()
        self.allowed: NDArray[np.int64] = np.array(sorted(ids), dtype=np.int64)
        self.allowed.flags.writeable = False

    @property
    def is_made(self) -> bool:
        """Whether one sequence alone was left, and is written."""
        return not len(self.allowed)


class Choices:
    """Places of choices, kept, so that equal places are one object with one `allowed`.

    `ends` are the ids that end a turn: those that may follow a complete sequence.
    """

    def __init__(self, ends: Iterable[int]) -> None:
        self._ends = frozenset(ends)
        self._place = lru_cache(_NUM_KEPT)(self._make_place)

    def among(self, sequences: Iterable[tuple[int, ...]]) -> Place:
        """The place where each of these is still to be written."""
        return self._place(frozenset(sequences))

    def after(self, place: Place, token: int) -> Place:
        """The place that a token of `place.allowed` leads to, other than an end."""
        return self.among(rest[1:] for rest in place.rests if rest[:1] == (token,))

    def _make_place(self, rests: Sequences) -> Place:
        return Place(rests, self._ends)


def _common_beginning(sequences: Sequences) -> tuple[int, ...]:
    first, last = min(sequences), max(sequences)
    same = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return tuple(token for token, _ in same)
