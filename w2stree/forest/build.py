"""Forests from the forms that trajectories come in, each read without a detour.

    Trajectory objects ──┐ C API ┐
    lists of str       ──┘       ├─> ids and texts ──> core ──> Forest
    Arrow columns      ── C data ┘        ^
    NumPy ids          ───────────────────┘ steps borrowed as they are

Texts get ids in order of first appearance, trees in the order tasks first appear, siblings in
the order trajectories first make them: the same data gives the same forest by every way, under
every rule of merging.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from w2stree import _core
from w2stree.errors import IdenticalTrajectories, InvalidInput, TurnsWithoutAction
from w2stree.forest.batch import Batch, batch_of
from w2stree.forest.bucket_forest import BucketForest
from w2stree.forest.bucket_manifest import is_bucket_folder
from w2stree.forest.file import read_forest
from w2stree.forest.forest import Forest
from w2stree.forest.growth import grow, merge
from w2stree.forest.id_tables import (
    check_array,
    check_num_trees,
    read_texts,
    task_table,
    text_table,
)
from w2stree.forest.merging import EQUALITY, Merging, check_merging
from w2stree.forest.openings import Openings
from w2stree.forest.texts import TextColumn, empty_texts
from w2stree.forest.threads import num_threads_or_all
from w2stree.trajectories.trajectory import Trajectory


class ArrowStream(Protocol):
    """A table of any library that speaks the Arrow PyCapsule protocol."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object: ...


class ArrowArray(Protocol):
    """One batch of such a table."""

    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[object, object]: ...


def build_forest(
    trajectories: Iterable[Trajectory],
    *,
    merging: Merging | None = None,
    openings: Openings = "equal",
    num_threads: int | None = None,
) -> Forest:
    """Merge trajectories into one tree per task.

    Two trajectories share a node iff they have one `task_id` and agree in every
    (action, observation) up to it; `response` and the rest are payload. Trees come in the order
    tasks first appear, siblings in the order trajectories first make them. Trajectories with
    status "error" say nothing about their task: they are left out and counted.

    Observations agree when they are equal. `merging` widens that (`w2stree.forest.merging`): to
    texts that a normaliser maps to one text, or to similar texts, for the forest and for whatever
    is added to it later. `Merging(min_similarity=0.9, embed="all-MiniLM-L6-v2")` is the authors'
    rule with a guard; the result then depends on the order of trajectories, and `Forest.merges`
    says what was merged.

    Runs of one task were asked the same (`prompt`). With `openings="any"` they may open
    differently, as where a date stands in the prompt or a simulated user has other words each time:
    the task id alone then says which runs are of one tree, and a row whose two sides were asked
    differently has each side's own prompt (`preference_rows`).

    Raises `InvalidInput` when the prompts of one task differ and may not, when a return is not
    finite, when `embed` gives no vectors, when nothing is left, or (as all builders do) when
    `merging` is no `Merging`; `TypeError` for anything but trajectories. Warns
    `IdenticalTrajectories` once when all M >= 2 trajectories of a task took the same actions, once
    when they took none at all, and `TurnsWithoutAction` where most of their turns had none. Results
    never depend on `num_threads` (None: the available cores). O(steps) expected, similarity aside.
    """
    check_merging(merging)
    batch = batch_of(trajectories, openings)
    if not batch.trajectories:
        raise InvalidInput(
            f"no trajectories left to build from: {batch.num_errors} given, all with status error"
            if batch.num_errors
            else "no trajectories given"
        )
    return _build(batch, merging, num_threads)


def build_forest_from_texts(
    task_id: Iterable[str],
    actions: Iterable[Iterable[str]],
    observations: Iterable[Iterable[str]],
    total_return: Iterable[float],
    *,
    merging: Merging | None = None,
    num_threads: int | None = None,
) -> Forest:
    """Merge trajectories given as parallel columns, one element of each a trajectory.

    `actions[i]` and `observations[i]` are the steps of trajectory i and have one length. Lists
    and tuples are read in place, anything else is made a list first. Texts are kept as the str
    objects they came as. `merging` is as in `build_forest`. Results never depend on
    `num_threads` (None: the available cores).

    Raises `TypeError` or `InvalidInput` naming the place ("actions[3][7] is int; expected str"),
    `InvalidInput` for no trajectories. Warns as `build_forest` does. O(steps) expected.
    """
    check_merging(merging)
    ids, texts = _core.intern_texts(task_id, actions, observations, total_return)
    columns = Batch(*ids, *texts)
    _refuse_none(columns)
    return _build(columns, merging, num_threads)


def build_forest_from_ids(
    action_id: NDArray[np.int32],
    observation_id: NDArray[np.int32],
    step_offset: NDArray[np.int64],
    tree_id: NDArray[np.int32],
    total_return: NDArray[np.float64],
    *,
    num_trees: int | None = None,
    merging: Merging | None = None,
    num_threads: int | None = None,
    task_ids: Sequence[str] | None = None,
    actions: Sequence[str] | None = None,
    observations: Sequence[str] | None = None,
) -> Forest:
    """Merge trajectories given as integers: the steps of trajectory i are
    `[step_offset[i], step_offset[i + 1])` of `action_id` and `observation_id`.

    Contiguous arrays of steps are borrowed, not copied, and must not change meanwhile: where
    another thread writes to them the forest is of whatever was read, or refused. `task_ids`,
    `actions` and `observations` are the texts of the ids, kept as they are; without them texts are
    numbered ("action 3").
    `num_trees` is `len(task_ids)` or else `tree_id.max() + 1` unless given; a tree without
    trajectories is a lone root: it has no best path and no pairs.
    What is counted by the greatest id (trees, and texts where none are given) may be up to 100,000,
    or 100 times as many as there are trajectories or steps: number sparse ids anew.
    Results never depend on `num_threads` (None: the available cores).

    Raises `TypeError` naming the array for another dtype: ids are never narrowed or widened in
    silence, and for tables of anything but str; `InvalidInput` naming array and index for ids or
    offsets out of range, for sparse ids and for tables too short, and for a `merging` that looks at
    observations without their texts. Warns as
    `build_forest` does. O(steps) expected.
    """
    check_merging(merging)
    check_num_trees(num_trees)
    check_array("action_id", action_id, np.int32)
    check_array("observation_id", observation_id, np.int32)
    check_array("step_offset", step_offset, np.int64)
    check_array("tree_id", tree_id, np.int32)
    check_array("total_return", total_return, np.float64)
    observations = text_table("observations", observations, "observation_id", observation_id)
    if merging is not None and merging.reads_texts:
        observations, observation_id = read_texts(observations, observation_id)
    columns = Batch(
        action_id,
        observation_id,
        step_offset,
        tree_id,
        total_return,
        task_table(task_ids, tree_id, num_trees),
        text_table("actions", actions, "action_id", action_id),
        observations,
    )
    forest = _build(columns, merging, num_threads)
    num_ids = len(forest.actions), len(forest.observations)
    _core.check_ids(forest.core, *num_ids, num_threads_or_all(num_threads))
    return forest


def build_forest_from_arrow(
    table: ArrowStream | ArrowArray,
    *,
    merging: Merging | None = None,
    num_threads: int | None = None,
) -> Forest:
    """Merge trajectories given as Arrow columns, one row a trajectory: a `pyarrow.Table`, a
    `polars.DataFrame` or anything else with `__arrow_c_stream__` or `__arrow_c_array__`.

    Columns are `task_id` (text), `actions` and `observations` (lists of text of one length) and
    `total_return` (a number); others are left alone. Text may be string, large_string,
    string_view or a dictionary of one, lists plain, large or views. No str is made: the
    forest's texts are `TextColumn`s. `merging` is as in `build_forest`; a rule that looks at
    observations makes a str of each. Results never depend on `num_threads` (None: the available
    cores).

    Raises `TypeError` for objects without the protocol, `InvalidInput` naming column and row for
    missing or other columns, nulls, unequal lengths, text that is not UTF-8, arrays that
    contradict themselves, and no rows. Warns as `build_forest` does. O(bytes of text), or
    O(steps) for dictionaries.
    """
    check_merging(merging)
    ids, (task_ids, actions, observations) = _read_arrow(table, num_threads_or_all(num_threads))
    columns = Batch(
        *ids, tuple(TextColumn(*task_ids)), TextColumn(*actions), TextColumn(*observations)
    )
    _refuse_none(columns)
    return _build(columns, merging, num_threads)


def merge_forests(forests: Iterable[Forest], *, num_threads: int | None = None) -> Forest:
    """One forest of several that share no task: shards built apart, put together.

    Trees and trajectories come shard after shard; texts are numbered anew. Equal to building
    from all trajectories at once. Raises `InvalidInput` where a task is in two forests (add its
    trajectories with `Forest.add`), where observations were merged by different rules or by one
    that is not known (`open_forest`), for what is no `Forest`, or where nothing is given. O(nodes).
    """
    shards = list(forests)
    for i, shard in enumerate(shards):
        if not isinstance(shard, Forest):
            raise InvalidInput(f"forests[{i}] is {type(shard).__name__}; expected a Forest")
    return Forest(merge(shards, num_threads))


def open_forest(
    path: str | os.PathLike[str],
    *,
    trajectories: Sequence[Trajectory] | None = None,
    openings: Openings = "equal",
    merging: Merging | None = None,
    num_threads: int | None = None,
) -> Forest:
    """Read a file that `Forest.save` wrote and verify all of it; nothing is parsed.

    `trajectories` are those the forest was built from: training rows need their prompts and
    responses. See `Forest.with_trajectories`, which adds them later, for how they are compared.
    Without them trajectories are read back off the tree. `openings` says of them whether those of
    one task may be asked in other words, as `build_forest` was told: the file does not tell.

    The file tells by which rule observations were merged. It names functions and holds none: where
    one is not among the known names of `w2stree.forest.merging`, `Forest.add` and `merge_forests`
    are refused until `merging` gives the rule here. So it is with files of version 1, which do not
    tell their rule: `merging` states it. A given rule is compared with the stored one as far as
    names tell: lambdas all have one name, `functools.partial`s too, and pass for each other.

    Raises `ForestFileError` naming the byte and the section where a file is torn, altered or of
    another format; `InvalidInput` naming the index where `trajectories` are others, and where
    `merging` is no `Merging` or not the stored rule; `OSError` where the file cannot be read.
    Pipes and devices are refused, at once. O(bytes): some 8 ms a million nodes.

    The forest lives in the bytes that were read, and needs the file no longer: one that is
    replaced, overwritten or cut short leaves open forests as they were, and is a `ForestFileError`
    where that happens while it is read.

    A folder of buckets, which `w2stree tree --engine` makes, is a `BucketForest`: one forest, of
    which a bucket is read when it is asked for (docs/scale.md). Raises `InvalidInput` for one that
    was not finished.
    """
    check_merging(merging)
    forest = (
        BucketForest(Path(path), merging, num_threads)
        if is_bucket_folder(Path(path))
        else Forest(read_forest(Path(path), merging, num_threads))
    )
    if trajectories is None:
        return forest
    return forest.with_trajectories(trajectories, openings=openings)


def _read_arrow(
    table: Any, num_threads: int
) -> tuple[_core.Ids, tuple[_core.Bytes, _core.Bytes, _core.Bytes]]:
    if hasattr(table, "__arrow_c_stream__"):
        return _core.read_arrow_stream(table.__arrow_c_stream__(), num_threads)
    if hasattr(table, "__arrow_c_array__"):
        schema, array = table.__arrow_c_array__()
        return _core.read_arrow_array(schema, array, num_threads)
    raise TypeError(
        f"table is {type(table).__name__}; expected an object with __arrow_c_stream__ or "
        "__arrow_c_array__, such as a pyarrow.Table or polars.DataFrame"
    )


def _build(batch: Batch, merging: Merging | None, num_threads: int | None) -> Forest:
    forest = Forest(grow(None, batch, merging or EQUALITY, num_threads))
    _warn_of_identical(forest)
    return forest


def _refuse_none(columns: Batch) -> None:
    if not len(columns.tree_id):
        raise InvalidInput("no trajectories given")


def _warn_of_identical(forest: Forest) -> None:
    """Of tasks whose trajectories took the same actions, be it that their turns have none, or that
    they have no turns."""
    identical = _core.trees_of_one_action_sequence(forest.core)
    if not len(identical):
        return
    task_ids = forest.task_ids
    root = forest.root[identical]
    end = forest.subtree_end[root]
    is_empty = np.isin(forest.action_id, empty_texts(forest.actions))
    num_empty = np.concatenate([[0], np.cumsum(is_empty)])
    num_steps = end - root - 1
    is_silent = 2 * (num_empty[end] - num_empty[root + 1]) > num_steps
    greedy, silent = identical[~is_silent & (num_steps > 0)], identical[is_silent]
    stepless = identical[num_steps == 0]
    if len(greedy):
        warnings.warn(
            f"{len(greedy)} of {len(task_ids)} tasks, the first {task_ids[greedy[0]]!r}, "
            "have identical actions in all their trajectories and yield no pairs; "
            "was the policy sampled greedily (temperature 0 or top_p 0)?",
            IdenticalTrajectories,
            stacklevel=4,
        )
    if len(stepless):
        warnings.warn(
            f"{len(stepless)} of {len(task_ids)} tasks, the first {task_ids[stepless[0]]!r}, have "
            "several trajectories and no step in any of them: they yield no pairs; does what was "
            "read hold the agent's turns, or did all episodes end before the first one?",
            IdenticalTrajectories,
            stacklevel=4,
        )
    if len(silent):
        warnings.warn(
            f"{len(silent)} of {len(task_ids)} tasks, the first {task_ids[silent[0]]!r}, have "
            "trajectories that are alike because most of their turns have no action: they yield "
            "no pairs; was the model told the form of an action?",
            TurnsWithoutAction,
            stacklevel=4,
        )
