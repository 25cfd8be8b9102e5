"""Preference pairs (Eq. 6): columns of indices, turned into trajectories when asked for.

      h   shared prefix            prompt   = h
    a/ \\b                          chosen   = continuation with the greater return
1.0 o   o 0.3                      rejected = the other
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Literal, SupportsIndex, get_args, overload

import numpy as np
from numpy.typing import NDArray

from w2stree import _core
from w2stree.errors import InvalidInput
from w2stree.forest.arguments import finite, int64, whole
from w2stree.forest.ranges import check_range_of
from w2stree.forest.threads import num_threads_or_all
from w2stree.trajectories.returns import ReturnRange, threshold_in
from w2stree.trajectories.trajectory import Trajectory

if TYPE_CHECKING:
    from w2stree.forest.forest import Forest

Strategy = Literal["all", "best_worst"]

_CHUNK = 1 << 16  # pairs whose columns are lists of Python's numbers at a time


@dataclass(frozen=True, slots=True)
class PreferencePair:
    """Two trajectories of one task that share `depth` steps and then act differently. Their turns
    may have been worded differently on the way."""

    divergence: int
    """Node of the forest after the shared steps."""
    task_id: str
    depth: int
    """Number of shared steps: `chosen.steps[:depth]` and `rejected.steps[:depth]` have the same
    actions, and the same observations as far as the forest's rule of merging tells them apart."""
    chosen: Trajectory
    rejected: Trajectory
    gap: float
    """`chosen.total_return - rejected.total_return` in doubles, > 0. It may be a rounding below the
    `min_gap` it met: 0.3 - 0.2 is 0.09999999999999998."""


class PreferencePairs:
    """Pairs as columns `[num_pairs]`, 12 bytes a pair until `gap` is asked for.

    Ordered by divergence (node ids ascending); then by the chosen one's action (in order of first
    appearance among the children), return and index; then by the rejected one's return and index;
    all ascending. Indexing and iterating make one `PreferencePair` at a time; a slice is `select`,
    which takes masks and several indices too (a `TypeError` here).
    """

    __slots__ = ("_gap", "chosen", "divergence", "forest", "rejected")

    def __init__(
        self,
        forest: Forest,
        divergence: NDArray[np.int32],
        chosen: NDArray[np.int32],
        rejected: NDArray[np.int32],
        gap: NDArray[np.float64] | None = None,
    ) -> None:
        self.forest = forest
        self.divergence = divergence
        """Node ids."""
        self.chosen = chosen
        """Indices into `forest.trajectories`."""
        self.rejected = rejected
        """Indices into `forest.trajectories`."""
        self._gap = gap

    @property
    def gap(self) -> NDArray[np.float64]:
        """Differences of return, > 0 (infinite where that overflows); made on first use."""
        if self._gap is None:
            self._gap = _core.pair_gaps(self.forest.core, self.chosen, self.rejected)
        return self._gap

    def __len__(self) -> int:
        return len(self.chosen)

    @overload
    def __getitem__(self, index: SupportsIndex) -> PreferencePair: ...
    @overload
    def __getitem__(self, index: slice) -> PreferencePairs: ...
    def __getitem__(self, index: SupportsIndex | slice) -> PreferencePair | PreferencePairs:
        if isinstance(index, slice):
            return self.select(np.arange(*index.indices(len(self))))
        try:
            i = range(len(self))[index]  # negative and NumPy's indices
        except TypeError:
            raise TypeError(
                f"pairs[...] is given {type(index).__name__}; expected a whole number or a slice; "
                "a mask or several indices go to pairs.select(...)"
            ) from None
        except IndexError:
            raise IndexError(f"pairs[{index}]: there are {len(self)} pairs") from None
        divergence, chosen, rejected = (
            int(column[i]) for column in (self.divergence, self.chosen, self.rejected)
        )
        total_return, trajectories = self.forest.total_return, self.forest.trajectories
        return PreferencePair(
            divergence=divergence,
            task_id=trajectories[chosen].task_id,
            depth=int(self.forest.depth[divergence]),
            chosen=trajectories[chosen],
            rejected=trajectories[rejected],
            gap=float(total_return[chosen]) - float(total_return[rejected]),
        )

    def __iter__(self) -> Iterator[PreferencePair]:
        trajectories, depth = self.forest.trajectories, self.forest.depth
        for begin in range(0, len(self), _CHUNK):
            part = self[begin : begin + _CHUNK]
            columns = (
                part.divergence,
                depth[part.divergence],
                part.chosen,
                part.rejected,
                part.gap,
            )
            for node, turns, i, j, gap in zip(*(c.tolist() for c in columns), strict=True):
                chosen = trajectories[i]
                yield PreferencePair(node, chosen.task_id, turns, chosen, trajectories[j], gap)

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
            None if self._gap is None else self._gap[chooser],
        )


def pair_rule(
    forest: Forest,
    min_gap: float,
    success_threshold: float | None,
    return_range: ReturnRange | None,
) -> _core.PairRule:
    """The core's rule, of a threshold in returns. Raises `InvalidInput` for thresholds that are no
    numbers (text and booleans are none), and for a return outside the range where a threshold is a
    share of it."""
    min_gap = finite("min_gap", min_gap)
    if success_threshold is None and return_range is None:
        return _core.PairRule(min_gap, None)
    low, high = check_range_of(forest, return_range)
    if success_threshold is not None:
        success_threshold = finite("success_threshold", success_threshold)
        success_threshold = threshold_in((low, high), success_threshold)
    return _core.PairRule(min_gap, success_threshold)


def count_pairs(forest: Forest, rule: _core.PairRule) -> int:
    """See `Forest.count_pairs`."""
    return int(_core.count_pairs(forest.core, rule, num_threads_or_all(None)).sum())


def select_pairs(
    forest: Forest,
    rule: _core.PairRule,
    *,
    strategy: Strategy,
    per_divergence: int | None,
    max_per_task: int | None,
    seed: int | None,
) -> PreferencePairs:
    """See `Forest.pairs`."""
    if strategy not in get_args(Strategy):
        raise InvalidInput(f"strategy={strategy!r}; expected 'all' or 'best_worst'")
    limits = {"per_divergence": per_divergence, "max_per_task": max_per_task}
    drawing = [name for name, limit in limits.items() if limit is not None]
    if drawing and seed is None:
        raise InvalidInput(f"seed=None; {drawing[0]}={limits[drawing[0]]} draws pairs: give a seed")
    found = _core.select_pairs(
        forest.core,
        rule,
        strategy == "best_worst",
        _int64("per_divergence", per_divergence),
        _int64("max_per_task", max_per_task),
        0 if seed is None else _checked_seed(seed),
        _tree_keys(forest) if drawing else np.empty(0, np.uint64),
        num_threads_or_all(None),
    )
    return _from_core(forest, found)


def stream_pairs(
    forest: Forest, rule: _core.PairRule, chunk_size: int
) -> Iterator[PreferencePairs]:
    """See `Forest.stream_pairs`."""
    size = _int64("chunk_size", chunk_size)
    if size < 1:
        raise InvalidInput(f"chunk_size={chunk_size}; expected at least 1")
    stream = _core.PairStream(forest.core, rule)
    chunks = iter(lambda: stream.next(size), None)
    return (_from_core(forest, chunk) for chunk in chunks)


def sample_pairs(
    forest: Forest, rule: _core.PairRule, num_pairs: int, seed: int
) -> PreferencePairs:
    """See `Forest.sample_pairs`."""
    found = _core.sample_pairs(
        forest.core,
        rule,
        _int64("num_pairs", num_pairs),
        _checked_seed(seed),
        num_threads_or_all(None),
    )
    return _from_core(forest, found)


def _from_core(forest: Forest, pairs: _core.Pairs) -> PreferencePairs:
    return PreferencePairs(forest, pairs.divergence, pairs.chosen, pairs.rejected)


@overload
def _int64(name: str, limit: int) -> int: ...
@overload
def _int64(name: str, limit: None) -> None: ...
def _int64(name: str, limit: int | None) -> int | None:
    """A limit as the core can take it: no forest has more pairs than that."""
    return None if limit is None else int64(name, limit)


def _checked_seed(seed: int) -> int:
    seed = whole("seed", seed)
    if not 0 <= seed < 2**64:
        raise InvalidInput(f"seed={seed}; expected 0 <= seed < 2**64")
    return seed


def _tree_keys(forest: Forest) -> NDArray[np.uint64]:
    """A number made of each task's id alone, so that the other tasks do not matter."""
    digests = (
        blake2b(task_id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        for task_id in forest.task_ids
    )
    return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)
