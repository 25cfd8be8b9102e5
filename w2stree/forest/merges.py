"""What merging by similarity did: which observations counted as one, and how often.

made    4   4   9        ids of the observations that nodes keep
seen    7   8   2        ids of what later trajectories saw there instead
count   1   3   1        steps
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class ObservationMerge:
    """Two observations that counted as one state because they were similar."""

    made: str
    """The observation of the trajectory that made the node; the node keeps it."""
    seen: str
    """The observation of a later trajectory that went through the same node."""
    count: int
    """Steps this happened to."""


@dataclass(frozen=True, slots=True, eq=False)
class Merges:
    """Columns `[num_merges]`, ascending by (made, seen), each pair once: the same for a forest
    however it grew."""

    made: NDArray[np.int32]
    seen: NDArray[np.int32]
    count: NDArray[np.int64]

    def renamed(self, names: NDArray[np.int32]) -> Merges:
        """With ids of another table of texts; in no order."""
        return Merges(names[self.made], names[self.seen], self.count)

    def with_texts(self, observations: Sequence[str]) -> tuple[ObservationMerge, ...]:
        """As users see them."""
        columns = zip(self.made.tolist(), self.seen.tolist(), self.count.tolist(), strict=True)
        return tuple(ObservationMerge(observations[m], observations[s], n) for m, s, n in columns)


NO_MERGES = Merges(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.int64))
"""Of a forest that merged equal observations alone."""


def add_up(parts: Iterable[Merges]) -> Merges:
    """All merges of several, equal pairs counted together."""
    columns = [part for part in parts if part.made.size]
    if not columns:  # by equality nothing merges, and forests may be small and many
        return NO_MERGES
    made = np.concatenate([part.made for part in columns])
    seen = np.concatenate([part.seen for part in columns])
    pairs, place = np.unique(made.astype(np.int64) << 32 | seen, return_inverse=True)
    count = np.zeros(len(pairs), np.int64)
    np.add.at(count, place, np.concatenate([part.count for part in columns]))
    return Merges((pairs >> 32).astype(np.int32), pairs.astype(np.int32), count)
