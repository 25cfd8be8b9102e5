"""What a search finds, in all texts of the trees and of their runs, whatever their case."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from w2stree.forest.forest import Forest
    from w2stree.trajectories.trajectory import Message


class Hits:
    """`is_at` `[nodes]`: whether action, answer or what a run said there has the query in it, of a
    root the task's id or what is asked. O(bytes of the texts)."""

    def __init__(self, query: str, forest: Forest) -> None:
        self.query = query
        self._wanted = query.lower()
        self._forest = forest
        action, observation = map(self._having, (forest.actions, forest.observations))
        is_at = action[forest.action_id] | observation[forest.observation_id]
        is_at[forest.root] |= self._having(forest.task_ids)[:-1]
        if forest.parts.trajectories is not None:
            self._add_runs(is_at)
        self.is_at: NDArray[np.bool_] = is_at
        self._places = np.flatnonzero(is_at)

    def __len__(self) -> int:
        return len(self._places)

    def by_tree(self) -> NDArray[np.int64]:
        """`[trees]` how many places of each."""
        before = np.append(0, np.cumsum(self.is_at, dtype=np.int64))
        root = self._forest.root
        counts: NDArray[np.int64] = before[self._forest.subtree_end[root]] - before[root]
        return counts

    def next(self, node: int, by: int) -> int | None:
        """The next place after a node, or before it; from the end on at the beginning."""
        if not len(self._places):
            return None
        side = np.searchsorted(self._places, node, side="right" if by > 0 else "left")
        return int(self._places[(side if by > 0 else side - 1) % len(self._places)])

    def _is_in(self, text: str) -> bool:
        return self._wanted in text.lower()

    def _having(self, texts: Iterable[str]) -> NDArray[np.bool_]:
        """Of each text, and False at the end, for the id -1 of roots."""
        return np.array([*map(self._is_in, texts), False], np.bool_)

    def _add_runs(self, is_at: NDArray[np.bool_]) -> None:
        forest = self._forest
        of_prompts: dict[tuple[Message, ...], bool] = {}
        said: list[bool] = []
        roots = forest.root[np.searchsorted(forest.root, forest.end_node, side="right") - 1]
        for run, root in zip(forest.trajectories, roots.tolist(), strict=True):
            if run.prompt not in of_prompts:
                of_prompts[run.prompt] = any(self._is_in(m.content) for m in run.prompt)
            is_at[root] |= of_prompts[run.prompt]
            said += [self._is_in(step.response) for step in run.steps]
        is_at[forest.step_node[np.array(said, np.bool_)]] = True
