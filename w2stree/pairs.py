"""Preference pairs (Eq. 6): columns of indices, turned into trajectories when asked for.

      h   shared prefix            prompt   = h
    a/ \\b                          chosen   = continuation with the greater return
1.0 o   o 0.3                      rejected = the other
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2stree import _core
from w2stree.forest import Forest
from w2stree.trajectory import Trajectory


@dataclass(frozen=True, slots=True)
class PreferencePair:
    """Two trajectories of one task that share `depth` steps and then act differently."""

    divergence: int
    """Node of the forest after the shared steps."""
    task_id: str
    depth: int
    """Number of shared steps: `chosen.steps[:depth]` and `rejected.steps[:depth]` agree."""
    chosen: Trajectory
    rejected: Trajectory
    gap: float
    """`chosen.total_return - rejected.total_return`, > 0."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PreferencePairs:
    """Pairs as columns `[num_pairs]`, ordered by divergence, then chosen, then rejected.

    Indexing and iterating make one `PreferencePair` at a time; nothing else is held.
    """

    forest: Forest
    divergence: NDArray[np.int32]
    """Node ids."""
    chosen: NDArray[np.int32]
    """Indices into `forest.trajectories`."""
    rejected: NDArray[np.int32]
    """Indices into `forest.trajectories`."""
    gap: NDArray[np.float64]
    """Differences of return."""

    def __len__(self) -> int:
        return len(self.gap)

    def __getitem__(self, index: int) -> PreferencePair:
        divergence = int(self.divergence[index])
        chosen = self.forest.trajectories[self.chosen[index]]
        return PreferencePair(
            divergence=divergence,
            task_id=chosen.task_id,
            depth=int(self.forest.depth[divergence]),
            chosen=chosen,
            rejected=self.forest.trajectories[self.rejected[index]],
            gap=float(self.gap[index]),
        )

    def __iter__(self) -> Iterator[PreferencePair]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        num_divergences = np.unique(self.divergence).size
        return f"PreferencePairs({len(self)} pairs at {num_divergences} divergences)"

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The columns as an Arrow stream, nothing copied: `pyarrow.table(pairs)`."""
        columns = ("divergence", "chosen", "rejected", "gap")
        return _core.export_arrow({name: getattr(self, name) for name in columns})

    def select(
        self, mask_or_indices: NDArray[np.bool_] | NDArray[np.integer[Any]] | Sequence[int]
    ) -> PreferencePairs:
        """The pairs where a boolean mask `[num_pairs]` holds, or at integer indices, in their
        order. Raises `IndexError` for a mask of another length or an index out of range."""
        chooser = np.asarray(mask_or_indices)
        if chooser.size == 0 and chooser.dtype != np.bool_:
            chooser = chooser.astype(np.intp)  # an empty list is an array of floats to NumPy
        return PreferencePairs(
            self.forest,
            self.divergence[chooser],
            self.chosen[chooser],
            self.rejected[chooser],
            self.gap[chooser],
        )


def find_pairs(forest: Forest, min_gap: float = 0.0) -> PreferencePairs:
    """See `Forest.pairs`."""
    pairs = _core.enumerate_pairs(forest.core, min_gap)
    return PreferencePairs(forest, pairs.divergence, pairs.chosen, pairs.rejected, pairs.gap)
