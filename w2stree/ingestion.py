"""Forests from the forms that trajectories come in, each read without a detour.

    Trajectory objects ──┐ C API ┐
    lists of str       ──┘       ├─> ids and texts ──> core ──> Forest
    Arrow columns      ── C data ┘        ^
    NumPy ids          ───────────────────┘ borrowed as they are

Texts get ids in order of first appearance, trees in the order tasks first appear, siblings in
the order trajectories first make them: the same data gives the same forest by every way.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from w2stree import _core
from w2stree.errors import IdenticalTrajectories, InvalidInput
from w2stree.forest import Forest
from w2stree.numbered_texts import NumberedTexts
from w2stree.text_column import TextColumn
from w2stree.threads import num_threads_or_all
from w2stree.trajectory import Step, Trajectory


class ArrowStream(Protocol):
    """A table of any library that speaks the Arrow PyCapsule protocol."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object: ...


class ArrowArray(Protocol):
    """One batch of such a table."""

    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[object, object]: ...


class _Columns(NamedTuple):
    """Trajectories as `cpp/include/w2stree/trajectories.hpp` lays them out, and their texts."""

    action_id: NDArray[np.int32]
    observation_id: NDArray[np.int32]
    step_offset: NDArray[np.int64]
    tree_id: NDArray[np.int32]
    total_return: NDArray[np.float64]
    task_ids: Sequence[str]
    actions: Sequence[str]
    observations: Sequence[str]


def build_forest(trajectories: Iterable[Trajectory]) -> Forest:
    """Merge trajectories exactly into one tree per task.

    Two trajectories share a node iff they have one `task_id` and agree in every
    (action, observation) up to it; `response` and the rest are payload. Trees come in the order
    tasks first appear, siblings in the order trajectories first make them. Trajectories with
    status "error" say nothing about their task: they are left out and counted.

    Raises `InvalidInput` when the prompts of one task differ, when a return is not finite, or
    when nothing is left; `TypeError` for anything but trajectories. Warns
    `IdenticalTrajectories` once when all M >= 2 trajectories of a task took the same actions.
    O(steps) expected.
    """
    kept, num_errors, ids, texts = _core.intern_trajectories(trajectories, Trajectory, Step)
    if not kept:
        raise InvalidInput(
            f"no trajectories left to build from: {num_errors} given, all with status error"
            if num_errors
            else "no trajectories given"
        )
    return _build(_Columns(*ids, *texts), trajectories=kept, num_errors=num_errors)


def build_forest_from_texts(
    task_id: Iterable[str],
    actions: Iterable[Iterable[str]],
    observations: Iterable[Iterable[str]],
    total_return: Iterable[float],
    *,
    num_threads: int | None = None,
) -> Forest:
    """Merge trajectories given as parallel columns, one element of each a trajectory.

    `actions[i]` and `observations[i]` are the steps of trajectory i and have one length. Lists
    and tuples are read in place, anything else is made a list first. Texts are kept as the str
    objects they came as. Results never depend on `num_threads` (None: the available cores).

    Raises `TypeError` or `InvalidInput` naming the place ("actions[3][7] is int; expected str"),
    `InvalidInput` for no trajectories. Warns as `build_forest` does. O(steps) expected.
    """
    ids, texts = _core.intern_texts(task_id, actions, observations, total_return)
    columns = _Columns(*ids, *texts)
    _refuse_none(columns)
    return _build(columns, num_threads=num_threads)


def build_forest_from_ids(
    action_id: NDArray[np.int32],
    observation_id: NDArray[np.int32],
    step_offset: NDArray[np.int64],
    tree_id: NDArray[np.int32],
    total_return: NDArray[np.float64],
    *,
    num_trees: int | None = None,
    num_threads: int | None = None,
    task_ids: Sequence[str] | None = None,
    actions: Sequence[str] | None = None,
    observations: Sequence[str] | None = None,
) -> Forest:
    """Merge trajectories given as integers: the steps of trajectory i are
    `[step_offset[i], step_offset[i + 1])` of `action_id` and `observation_id`.

    Contiguous arrays are borrowed, not copied. `task_ids`, `actions` and `observations` are the
    texts of the ids, kept as they are; without them texts are numbered ("action 3").
    `num_trees` is `len(task_ids)` or else `tree_id.max() + 1` unless given; a tree without
    trajectories is a lone root.
    Results never depend on `num_threads` (None: the available cores).

    Raises `TypeError` naming the array for another dtype: ids are never narrowed or widened in
    silence; `InvalidInput` naming array and index for ids or offsets out of range and for tables
    too short. Warns as `build_forest` does. O(steps) expected.
    """
    _check_array("action_id", action_id, np.int32)
    _check_array("observation_id", observation_id, np.int32)
    _check_array("step_offset", step_offset, np.int64)
    _check_array("tree_id", tree_id, np.int32)
    _check_array("total_return", total_return, np.float64)
    columns = _Columns(
        action_id,
        observation_id,
        step_offset,
        tree_id,
        total_return,
        _task_table(task_ids, tree_id, num_trees),
        _text_table("actions", actions, "action_id", action_id),
        _text_table("observations", observations, "observation_id", observation_id),
    )
    return _build(columns, num_threads=num_threads)


def build_forest_from_arrow(
    table: ArrowStream | ArrowArray, *, num_threads: int | None = None
) -> Forest:
    """Merge trajectories given as Arrow columns, one row a trajectory: a `pyarrow.Table`, a
    `polars.DataFrame` or anything else with `__arrow_c_stream__` or `__arrow_c_array__`.

    Columns are `task_id` (text), `actions` and `observations` (lists of text of one length) and
    `total_return` (a number); others are left alone. Text may be string, large_string,
    string_view or a dictionary of one, lists plain, large or views. No str is made: the
    forest's texts are `TextColumn`s. Results never depend on `num_threads` (None: the available
    cores).

    Raises `TypeError` for objects without the protocol, `InvalidInput` naming column and row for
    missing or other columns, nulls, unequal lengths, text that is not UTF-8, arrays that
    contradict themselves, and no rows. Warns as `build_forest` does. O(bytes of text), or
    O(steps) for dictionaries.
    """
    ids, (task_ids, actions, observations) = _read_arrow(table, num_threads_or_all(num_threads))
    columns = _Columns(
        *ids, tuple(TextColumn(*task_ids)), TextColumn(*actions), TextColumn(*observations)
    )
    _refuse_none(columns)
    return _build(columns, num_threads=num_threads)


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


def _build(
    columns: _Columns,
    *,
    num_threads: int | None = None,
    trajectories: Sequence[Trajectory] | None = None,
    num_errors: int = 0,
) -> Forest:
    core = _core.build_forest(
        columns.action_id,
        columns.observation_id,
        columns.step_offset,
        columns.tree_id,
        columns.total_return,
        len(columns.task_ids),
        num_threads=num_threads_or_all(num_threads),
    )
    _warn_of_identical(core, columns.task_ids)
    return Forest(
        core,
        task_ids=columns.task_ids,
        actions=columns.actions,
        observations=columns.observations,
        trajectories=trajectories,
        num_errors=num_errors,
    )


def _refuse_none(columns: _Columns) -> None:
    if not len(columns.tree_id):
        raise InvalidInput("no trajectories given")


def _check_array(name: str, array: object, dtype: type[np.generic]) -> None:
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{name} is {type(array).__name__}; expected a NumPy array")
    if array.dtype != dtype:
        raise TypeError(f"{name} has dtype {array.dtype}; expected {np.dtype(dtype)}")


def _num_ids(ids: NDArray[np.int32]) -> int:
    return int(ids.max(initial=-1)) + 1


def _task_table(
    task_ids: Sequence[str] | None, tree_id: NDArray[np.int32], num_trees: int | None
) -> Sequence[str]:
    if task_ids is None:
        size = _num_ids(tree_id) if num_trees is None else num_trees
        if size < 0:
            raise InvalidInput(f"num_trees={size} is negative")
        return NumberedTexts("task", size)
    _check_table("task_ids", task_ids)
    if num_trees is not None and len(task_ids) != num_trees:
        raise InvalidInput(f"task_ids has {len(task_ids)} texts; expected num_trees={num_trees}")
    if len(set(task_ids)) < len(task_ids):
        raise InvalidInput("task_ids names a task twice; give each tree its own")
    return task_ids


def _text_table(
    name: str, texts: Sequence[str] | None, ids_name: str, ids: NDArray[np.int32]
) -> Sequence[str]:
    size = _num_ids(ids)
    if texts is None:
        return NumberedTexts(ids_name.removesuffix("_id"), size)
    _check_table(name, texts)
    if len(texts) < size:
        place = f"{ids_name}[{ids.argmax()}]={size - 1}"
        raise InvalidInput(f"{place} has no text: {name} has {len(texts)}")
    return texts


def _check_table(name: str, texts: Sequence[str]) -> None:
    if isinstance(texts, str | bytes) or not isinstance(texts, Sequence):
        raise TypeError(f"{name} is {type(texts).__name__}; expected a sequence of str")


def _warn_of_identical(core: _core.Forest, task_ids: Sequence[str]) -> None:
    identical = _core.trees_of_one_action_sequence(core)
    if len(identical):
        warnings.warn(
            f"{len(identical)} of {len(task_ids)} tasks, the first {task_ids[identical[0]]!r}, "
            "have identical actions in all their trajectories and yield no pairs; "
            "was the policy sampled greedily (temperature 0 or top_p 0)?",
            IdenticalTrajectories,
            stacklevel=4,
        )
