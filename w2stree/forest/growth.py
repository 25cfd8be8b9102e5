"""Forests from batches of trajectories: the first one, the next ones, and shards put together.

batch    local ids   actions  go, take       ──names──>   forest's ids   look, go, …, take
                               0   1                                     0     1      9

Every route gives what building from all trajectories at once would give.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from w2stree import _core
from w2stree.errors import InvalidInput
from w2stree.forest.batch import Batch
from w2stree.forest.merges import NO_MERGES, Merges, add_up
from w2stree.forest.merging import Guard, Merging
from w2stree.forest.openings import refuse_other_opening
from w2stree.forest.parts import ForestParts
from w2stree.forest.read_back import PathTrajectories
from w2stree.forest.threads import num_threads_or_all
from w2stree.forest.vectors import Vectors
from w2stree.trajectories.trajectory import Trajectory

if TYPE_CHECKING:
    from w2stree.forest.forest import Forest


def grow(
    forest: Forest | None, batch: Batch, merging: Merging, num_threads: int | None
) -> ForestParts:
    """The forest of a forest's trajectories and then the batch's. See `Forest.add`."""
    old_trajectories: Sequence[Trajectory] = ()
    if forest is None:
        tasks, actions = _TextIds((), None), _TextIds((), None)
        observations = _TextIds((), merging.normalizer)
        base, num_errors, old_merges, vectors = _core.Forest(), 0, NO_MERGES, Vectors()
    else:
        tasks, actions = _TextIds(forest.task_ids, None), _TextIds(forest.actions, None)
        observations = _TextIds(forest.observations, merging.normalizer)
        base, num_errors = forest.core, forest.num_errors
        old_merges, vectors = forest.parts.merges, forest.parts.vectors
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
    core, merges = _extend(base, columns, observations.texts, merging, vectors)
    return ForestParts(
        core,
        task_ids=tasks.texts,
        actions=actions.texts,
        observations=observations.texts,
        trajectories=_joined([old_trajectories, batch.trajectories]),
        num_errors=num_errors + batch.num_errors,
        rule=merging,
        merges=add_up([old_merges, merges]),
        vectors=vectors,
    )


def _extend(
    base: _core.Forest,
    columns: dict[str, Any],
    observations: Sequence[str],
    merging: Merging,
    vectors: Vectors,
) -> tuple[_core.Forest, Merges]:
    """The core's forest grown by columns whose observation ids index `observations`."""
    embed = merging.embedder
    if embed is None or merging.min_similarity is None:
        return _core.extend_forest(base, **columns), NO_MERGES
    core, made, seen, count = _core.extend_similar_forest(
        base,
        **columns,
        embedding=vectors.of(observations, embed),
        min_similarity=merging.min_similarity,
        guard=_guard_ids(observations, merging.guardian),
    )
    return core, Merges(made, seen, count)


def _guard_ids(texts: Iterable[str], guard: Guard | None) -> NDArray[np.int32]:
    """`[num_texts]` class of each text, numbered by first appearance; empty: one class."""
    if guard is None:
        return np.zeros(0, np.int32)
    ids: dict[Hashable, int] = {}
    return np.array([ids.setdefault(guard(t), len(ids)) for t in texts], np.int32)


def merge(forests: Iterable[Forest], num_threads: int | None) -> ForestParts:
    """See `merge_forests`."""
    shards = list(forests)
    if not shards:
        raise InvalidInput("no forests to merge")
    merging = _one_rule(shards)
    owner: dict[str, int] = {}
    actions, observations = _TextIds((), None), _TextIds((), merging.normalizer)
    cores, merges = [], []
    for i, shard in enumerate(shards):
        for task_id in shard.task_ids:
            if task_id in owner:
                raise InvalidInput(
                    f"forests[{owner[task_id]}] and forests[{i}] both have task {task_id!r}; "
                    "shard by task, or add the trajectories of one to the other"
                )
            owner[task_id] = i
        names = observations.names(shard.observations)
        cores.append((shard.core, actions.names(shard.actions), names))
        merges.append(shard.parts.merges.renamed(names))
    return ForestParts(
        _core.merge_forests(cores, num_threads_or_all(num_threads)),
        task_ids=tuple(owner),
        actions=actions.texts,
        observations=observations.texts,
        trajectories=_joined([shard.trajectories for shard in shards]),
        num_errors=sum(shard.num_errors for shard in shards),
        rule=merging,
        merges=add_up(merges),
        vectors=Vectors.joined(shard.parts.vectors for shard in shards),
    )


def _one_rule(shards: Sequence[Forest]) -> Merging:
    """The rule of all shards; refused where one has another, or does not know its own."""
    for i, shard in enumerate(shards):
        try:
            merging = shard.merging
        except InvalidInput as error:
            raise InvalidInput(f"forests[{i}]: {error}") from None
        if merging != shards[0].merging:
            raise InvalidInput(
                f"forests[0] and forests[{i}] merge observations by different rules; "
                "build both with the same merging="
            )
    return shards[0].merging


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
        ids, before = self._ids, len(self._ids)
        names = [ids.setdefault(key, len(ids)) for key in self._keys(texts)]
        new: dict[int, str] = {}
        for name, text in zip(names, texts, strict=True):
            if name >= before:
                new.setdefault(name, text)
        if new:
            self.texts = (*self.texts, *new.values())
        return np.array(names, np.int32)

    def _keys(self, texts: Sequence[str]) -> Iterable[str]:
        return texts if self._key is None else map(self._key, texts)


def _joined(parts: Sequence[Sequence[Trajectory] | None]) -> Sequence[Trajectory] | None:
    """Trajectories as given, if all were; else None: they are read back off the tree."""
    given: list[Sequence[Trajectory]] = []
    for part in parts:
        if part is None or isinstance(part, PathTrajectories):
            return None
        if len(part):
            given.append(part)
    if len(given) == 1:
        return given[0]
    return tuple(chain.from_iterable(given))


def check_prompts(forest: Forest, batch: Batch) -> None:
    """Raises `InvalidInput` where a task's new trajectories open otherwise than the forest's, as
    far as these are kept."""
    if batch.trajectories is None or isinstance(forest.trajectories, PathTrajectories):
        return
    _, first_index = np.unique(batch.tree_id, return_index=True)
    for record in first_index:
        new = batch.trajectories[record]
        if new.task_id not in forest:
            continue
        old = _first_trajectory(forest, forest[new.task_id].root)
        if old.prompt != new.prompt:
            refuse_other_opening(
                new.task_id, "the forest", old.prompt, f"new trajectories[{record}]", new.prompt
            )


def _first_trajectory(forest: Forest, root: int) -> Trajectory:
    """Of a tree, in input order; the others are not made."""
    begin = forest.first_trajectory[root]
    own = forest.trajectory_order[begin : begin + forest.num_trajectories[root]]
    return forest.trajectories[int(own.min())]
