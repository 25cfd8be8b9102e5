"""Forests from batches of trajectories: the first one, the next ones, and shards put together.

batch    local ids   actions  go, take       ──names──>   forest's ids   look, go, …, take
                               0   1                                     0     1      9

Every route gives what building from all trajectories at once would give.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from w2stree import _core
from w2stree.errors import InvalidInput
from w2stree.forest import Forest
from w2stree.merging import Merging
from w2stree.paths import PathTrajectories
from w2stree.threads import num_threads_or_all
from w2stree.trajectory import Trajectory


@dataclass(frozen=True, slots=True)
class Batch:
    """Trajectories as `cpp/include/w2stree/forest/trajectories.hpp` lays them out, and the texts of
    their ids."""

    action_id: NDArray[np.int32]
    observation_id: NDArray[np.int32]
    step_offset: NDArray[np.int64]
    tree_id: NDArray[np.int32]
    total_return: NDArray[np.float64]
    task_ids: Sequence[str]
    actions: Sequence[str]
    observations: Sequence[str]
    trajectories: Sequence[Trajectory] | None = None
    """As given, where they were `Trajectory` objects."""
    num_errors: int = 0


def grow(forest: Forest | None, batch: Batch, merging: Merging, num_threads: int | None) -> Forest:
    """The forest of a forest's trajectories and then the batch's. See `Forest.add`."""
    old_trajectories: Sequence[Trajectory] = ()
    if forest is None:
        tasks, actions = _TextIds((), None), _TextIds((), None)
        observations = _TextIds((), merging.normalize)
        base, num_errors = _core.Forest(), 0
    else:
        _check_prompts(forest, batch)
        tasks, actions = _TextIds(forest.task_ids, None), _TextIds(forest.actions, None)
        observations = _TextIds(forest.observations, merging.normalize)
        base, num_errors = forest.core, forest.num_errors
        old_trajectories = forest.trajectories
    columns = {
        "action_id": actions.rename(batch.actions, batch.action_id),
        "observation_id": observations.rename(batch.observations, batch.observation_id),
        "step_offset": batch.step_offset,
        "tree_id": tasks.rename(batch.task_ids, batch.tree_id),
        "total_return": batch.total_return,
        "num_trees": len(tasks.texts),
        "num_threads": num_threads_or_all(num_threads),
    }
    core, merges = merging.extend(base, columns, observations.texts)
    return Forest(
        core,
        task_ids=tasks.texts,
        actions=actions.texts,
        observations=observations.texts,
        trajectories=_joined([old_trajectories, batch.trajectories]),
        num_errors=num_errors + batch.num_errors,
        merging=merging,
        merges=merges if forest is None else forest.merges + merges,
    )


def merge_forests(forests: Iterable[Forest], *, num_threads: int | None = None) -> Forest:
    """One forest of several that share no task: shards built apart, put together.

    Trees and trajectories come shard after shard; texts are numbered anew. Equal to building
    from all trajectories at once. Raises `InvalidInput` where a task is in two forests (add its
    trajectories with `Forest.add`), where observations were merged by different rules, or
    where nothing is given. O(nodes).
    """
    shards = list(forests)
    if not shards:
        raise InvalidInput("no forests to merge")
    merging = shards[0].merging
    owner: dict[str, int] = {}
    actions, observations = _TextIds((), None), _TextIds((), merging.normalize)
    cores = []
    for i, shard in enumerate(shards):
        if shard.merging != merging:
            raise InvalidInput(
                f"forests[0] and forests[{i}] merge observations by different rules; "
                "build both with the same options"
            )
        for task_id in shard.task_ids:
            if task_id in owner:
                raise InvalidInput(
                    f"forests[{owner[task_id]}] and forests[{i}] both have task {task_id!r}; "
                    "shard by task, or add the trajectories of one to the other"
                )
            owner[task_id] = i
        cores.append(
            (shard.core, actions.names(shard.actions), observations.names(shard.observations))
        )
    return Forest(
        _core.merge_forests(cores, num_threads_or_all(num_threads)),
        task_ids=tuple(owner),
        actions=actions.texts,
        observations=observations.texts,
        trajectories=_joined([shard.trajectories for shard in shards]),
        num_errors=sum(shard.num_errors for shard in shards),
        merging=merging,
        merges=tuple(chain.from_iterable(shard.merges for shard in shards)),
    )


class _TextIds:
    """Texts numbered by first appearance. Texts of one key are one: the first stands for all."""

    __slots__ = ("_ids", "_key", "texts")

    def __init__(self, texts: Sequence[str], key: Callable[[str], str] | None) -> None:
        self.texts = texts
        self._key = key
        self._ids: dict[str, int] | None = None  # made when a text is looked up

    def rename(self, texts: Sequence[str], ids: NDArray[np.int32]) -> NDArray[np.int32]:
        """Ids into `texts` become ids here."""
        if not len(self.texts) and self._key is None:  # all new: nothing to look up
            self.texts = texts
            return ids
        return self.names(texts)[ids] if len(texts) else ids

    def names(self, texts: Sequence[str]) -> NDArray[np.int32]:
        """`[num_texts]` the id of each text here; new ones are appended."""
        if self._ids is None:
            self._ids = {key: i for i, key in enumerate(self._keys(self.texts))}
        names = np.empty(len(texts), np.int32)
        new: list[str] = []
        for i, (text, key) in enumerate(zip(texts, self._keys(texts), strict=True)):
            names[i] = self._ids.setdefault(key, len(self._ids))
            if names[i] == len(self.texts) + len(new):
                new.append(text)
        if new:
            self.texts = (*self.texts, *new)
        return names

    def _keys(self, texts: Sequence[str]) -> Iterable[str]:
        return texts if self._key is None else map(self._key, texts)


def _joined(parts: Sequence[Sequence[Trajectory] | None]) -> Sequence[Trajectory] | None:
    """Trajectories as given, if all were; else None: they are read back off the tree."""
    given: list[Sequence[Trajectory]] = []
    for part in parts:
        if part is None or isinstance(part, PathTrajectories):
            return None
        given.append(part)
    return tuple(chain.from_iterable(given))


def _check_prompts(forest: Forest, batch: Batch) -> None:
    if batch.trajectories is None or isinstance(forest.trajectories, PathTrajectories):
        return
    _, first_index = np.unique(batch.tree_id, return_index=True)
    for record in first_index:
        new = batch.trajectories[record]
        if new.task_id not in forest:
            continue
        old = forest[new.task_id].trajectories[0]
        if old.prompt != new.prompt:
            raise InvalidInput(
                f"task_id {new.task_id!r} has another prompt in the forest than in the new "
                f"trajectories[{record}]; give different tasks different ids"
            )
