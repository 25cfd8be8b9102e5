"""Trajectories read back off the tree, for forests that were not built from `Trajectory`s."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, overload

from w2stree.trajectories.trajectory import Step, Trajectory

if TYPE_CHECKING:
    from w2stree.forest.forest import Forest


class PathTrajectories(Sequence[Trajectory]):
    """Trajectory i of a forest as the path from its root to where it ends, made on access.

    A forest keeps what it merges: task, actions, observations, return. Prompts, responses,
    token ids and how an episode ended are not in it: `prompt` is empty, `status` "done".
    """

    __slots__ = ("_forest",)

    def __init__(self, forest: Forest) -> None:
        self._forest = forest

    def __len__(self) -> int:
        return len(self._forest.total_return)

    @overload
    def __getitem__(self, index: int) -> Trajectory: ...
    @overload
    def __getitem__(self, index: slice) -> list[Trajectory]: ...
    def __getitem__(self, index: int | slice) -> Trajectory | list[Trajectory]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        i = range(len(self))[index]  # negative indices, IndexError
        forest = self._forest
        path = list(forest.path_to(int(forest.end_node[i])))
        tree_id = int(forest.root.searchsorted(path[0], side="right")) - 1
        steps = tuple(
            Step(
                forest.actions[int(forest.action_id[node])],
                forest.observations[int(forest.observation_id[node])],
            )
            for node in path[1:]
        )
        total_return = float(forest.total_return[i])
        return Trajectory(forest.task_ids[tree_id], (), steps, total_return, "done")

    def __iter__(self) -> Iterator[Trajectory]:
        return (self[i] for i in range(len(self)))
