"""Ways through a state graph: what an agent could do, joined of what runs did.

key taken ── go ──> hall ── open door ──> garden        actions and states in turn
          run 0           run 3                         where each step was seen first
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, overload

import numpy as np
from numpy.typing import NDArray

from w2stree import _core
from w2stree.forest.in_process import InProcess

if TYPE_CHECKING:
    from w2stree.forest.states import StateGraph


@dataclass(frozen=True, slots=True)
class StatePath:
    """A path of a state graph, none of its states twice. Each field by step has one element a step.

    That its pieces fit together is what the keys claim; playing the actions shows whether they do.
    """

    task_id: str
    states: tuple[int, ...]
    """From the start to the end, both included: one more than steps."""
    edges: tuple[int, ...]
    """By step: the graph's edge, to be left out (`without`) where the environment disagrees."""
    actions: tuple[str, ...]
    """By step: what to do."""
    nodes: tuple[int, ...]
    """By step: the forest's node where this step was seen first, in the order of nodes; its
    observation is what the environment answered then."""
    trajectories: tuple[int, ...]
    """By step: the first trajectory, in input order, that took it."""
    value: float
    """Of the state where it ends."""
    trajectory: int | None
    """The trajectory that took exactly these actions through these states and ended there; of
    several that of greatest return, ties to the first. Its return may be less than `value`, where
    another one ended in the same state with more."""

    @property
    def is_recombined(self) -> bool:
        """Whether it is no trajectory as it was run: pieces of several, or one without detours."""
        return self.trajectory is None

    def __len__(self) -> int:
        """Steps."""
        return len(self.edges)


class StatePaths(InProcess, Sequence[StatePath | None]):
    """Paths as columns, in the order of the starts asked for (of trees, if none were); None where
    there is no path. Indexing and iterating make one `StatePath` at a time."""

    __slots__ = ("_core", "graph", "start")

    def __init__(self, graph: StateGraph, start: NDArray[np.int32], core: _core.StatePaths) -> None:
        self._core = core
        self.graph = graph
        self.start = start
        """`[number of paths]` state where each begins."""

    @property
    def end(self) -> NDArray[np.int32]:
        """`[number of paths]` state where it ends; -1 where there is no path."""
        return self._core.end

    @property
    def value(self) -> NDArray[np.float64]:
        """`[number of paths]` value of that state; NaN where there is no path."""
        return np.where(self.end < 0, np.nan, self.graph.value[self.end])

    @property
    def num_steps(self) -> NDArray[np.int64]:
        """`[number of paths]` steps; 0 also where there is no path."""
        return np.diff(self._core.offset)

    @property
    def trajectory(self) -> NDArray[np.int32]:
        """`[number of paths]` `StatePath.trajectory`; -1 where it is None."""
        return self._core.trajectory

    @property
    def is_recombined(self) -> NDArray[np.bool_]:
        """`[number of paths]` whether there is a path, and it is no trajectory as it was run."""
        return (self.end >= 0) & (self.trajectory < 0)

    @property
    def offset(self) -> NDArray[np.int64]:
        """`[number of paths + 1]` path i has the edges `edge[offset[i] : offset[i + 1]]`."""
        return self._core.offset

    @property
    def edge(self) -> NDArray[np.int32]:
        """Edges of all paths, each from its start on."""
        return self._core.edge

    def __len__(self) -> int:
        return len(self.end)

    @overload
    def __getitem__(self, index: int) -> StatePath | None: ...
    @overload
    def __getitem__(self, index: slice) -> list[StatePath | None]: ...
    def __getitem__(self, index: int | slice) -> StatePath | list[StatePath | None] | None:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        i = range(len(self))[index]  # negative indices, IndexError
        end = int(self.end[i])
        if end < 0:
            return None
        graph, start = self.graph, int(self.start[i])
        edges = self.edge[self.offset[i] : self.offset[i + 1]]
        trajectory = int(self.trajectory[i])
        return StatePath(
            task_id=graph.forest.task_ids[int(graph.tree_of(start))],
            states=(start, *graph.target[edges].tolist()),
            edges=tuple(edges.tolist()),
            actions=tuple(graph.forest.actions[a] for a in graph.action_id[edges].tolist()),
            nodes=tuple(graph.first_node[edges].tolist()),
            trajectories=tuple(graph.first_trajectory[edges].tolist()),
            value=float(graph.value[end]),
            trajectory=None if trajectory < 0 else trajectory,
        )

    def __iter__(self) -> Iterator[StatePath | None]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        num_found = int((self.end >= 0).sum())
        num_recombined = int(self.is_recombined.sum())
        return f"StatePaths({num_found} of {len(self)} found, {num_recombined} recombined)"
