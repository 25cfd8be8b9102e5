"""Trajectories as they lie in files, and the columns that trees are built of.

    source    lines of JSON, or a table, as they were read       (`json_columns`, `tables`)
    row  0    ──asked for──>  Trajectory
    row  1

    columns   action_id 0 1 2 0 …  observation_id …  texts of the ids: "go", "look", …

A forest needs the columns alone; whoever wants a trajectory gets it made of its row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, overload

import numpy as np
from numpy.typing import NDArray

from w2stree.trajectories.trajectory import Trajectory

_NUM_KEPT = 1024  # trajectories that stay made: those of a task are asked for again and again


@dataclass(frozen=True, slots=True)
class StepColumns:
    """Trajectories as `cpp/include/w2stree/forest/trajectories.hpp` lays them out; those that
    ended in an error are not in them."""

    action_id: NDArray[np.int32]
    observation_id: NDArray[np.int32]
    step_offset: NDArray[np.int64]
    tree_id: NDArray[np.int32]
    total_return: NDArray[np.float64]
    prompt_id: NDArray[np.int32]
    """`[num_trajectories]` equal where prompts are."""
    texts: tuple[tuple[NDArray[np.uint8], NDArray[np.int64]], ...]
    """Of task ids, actions and observations: UTF-8, and where each text begins."""

    def select(self, is_kept: NDArray[np.bool_]) -> StepColumns:
        """Some of the trajectories, of which each task and text that there is has one."""
        if is_kept.all():
            return self
        length = np.diff(self.step_offset)
        steps = np.repeat(is_kept, length)
        return StepColumns(
            self.action_id[steps],
            self.observation_id[steps],
            np.concatenate([np.zeros(1, np.int64), np.cumsum(length[is_kept])]),
            self.tree_id[is_kept],
            self.total_return[is_kept],
            self.prompt_id[is_kept],
            self.texts,
        )

    def has_one_prompt_a_task(self) -> bool:
        """Whether trajectories of one task have equal prompts."""
        _, first = np.unique(self.tree_id, return_index=True)
        return bool((self.prompt_id[first][self.tree_id] == self.prompt_id).all())


class Source(Protocol):
    """Rows, and the trajectories that they are."""

    def trajectories(self, rows: Sequence[int]) -> Iterator[Trajectory]: ...

    def is_copy(self, one: int, other: int) -> bool:
        """Whether two rows are equal to the letter, so far as that is cheaply seen."""
        ...

    @property
    def num_bytes(self) -> int: ...


class Records(Sequence[Trajectory]):
    """A sequence of trajectories that holds what it was read from and makes one when asked for it.

    It compares with lists and adds to them as a list does; it does not change. Going through all
    of them makes each anew: `list(records)` keeps them made, at several times the memory.
    """

    __slots__ = ("_made", "_row", "_source", "columns", "is_error")
    __hash__ = None  # type: ignore[assignment]  # as a list

    def __init__(
        self,
        source: Source,
        row: NDArray[np.int64],
        is_error: NDArray[np.bool_],
        columns: StepColumns,
    ) -> None:
        """Trajectory i is row `row[i]` of the source; `columns` has those without `is_error`, in
        order."""
        self._source, self._row = source, row
        self.is_error = is_error
        self.columns = columns
        self._made: dict[int, Trajectory] = {}

    def select(self, is_kept: NDArray[np.bool_]) -> Records:
        """Some of them, of the same source."""
        if is_kept.all():
            return self
        columns = self.columns.select(is_kept[~self.is_error])
        return Records(self._source, self._row[is_kept], self.is_error[is_kept], columns)

    @property
    def played(self) -> Records:
        """Those that did not end in an error."""
        return self.select(~self.is_error)

    def is_equal(self, one: int, other: int) -> bool:
        """Whether two of them are equal in everything."""
        rows = int(self._row[one]), int(self._row[other])
        return self._source.is_copy(*rows) or self[one] == self[other]

    def __len__(self) -> int:
        return len(self._row)

    @overload
    def __getitem__(self, index: int) -> Trajectory: ...
    @overload
    def __getitem__(self, index: slice) -> list[Trajectory]: ...
    def __getitem__(self, index: int | slice) -> Trajectory | list[Trajectory]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        row = range(len(self))[index]  # negative indices, IndexError
        if (made := self._made.get(row)) is None:
            (made,) = self._source.trajectories([int(self._row[row])])
            if len(self._made) >= _NUM_KEPT:
                self._made.clear()
            self._made[row] = made
        return made

    def __iter__(self) -> Iterator[Trajectory]:
        return self._source.trajectories(self._row.tolist())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Records | list):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    def __add__(self, other: Iterable[Trajectory]) -> list[Trajectory]:
        return [*self, *other]

    def __radd__(self, other: Iterable[Trajectory]) -> list[Trajectory]:
        return [*other, *self]

    def __repr__(self) -> str:
        return f"Records({len(self)} trajectories, {self._source.num_bytes:,} bytes as read)"
