"""Ids as arrays, and the tables of their texts, as callers give them: refused or of use.

action_id  [0, 1, 0, …]      actions   ["look", "go"]   each id has a text
           [0, 10**9]        none                       refused: a billion would be named
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from w2stree.errors import InvalidInput
from w2stree.forest.texts import NumberedTexts, TextColumn

_FEW = 100_000  # ids that may be as sparse as they like
_MOST = 2**31 - 1  # that the core can count
_SPARSEST = 100  # ids in the range for each in use, beyond that
_TREE_BYTES = 80  # of a tree without trajectories while it is built; 52 afterwards


def check_array(name: str, array: object, dtype: type[np.generic]) -> None:
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{name} is {type(array).__name__}; expected a NumPy array")
    if array.dtype != dtype:
        raise TypeError(f"{name} has dtype {array.dtype}; expected {np.dtype(dtype)}")


def check_num_trees(num_trees: object) -> None:
    if num_trees is None:
        return
    if isinstance(num_trees, bool) or not isinstance(num_trees, int | np.integer):
        raise TypeError(f"num_trees is {type(num_trees).__name__}; expected int")
    if not 0 <= num_trees <= _MOST:
        raise InvalidInput(f"num_trees={num_trees}; expected 0 to {_MOST:,}")
    needed, there = int(num_trees) * _TREE_BYTES, _memory()
    if there is not None and needed > there:
        raise InvalidInput(
            f"num_trees={num_trees:,} need {needed / 1e9:.1f} GB without any trajectory; "
            f"this machine has {there / 1e9:.1f}"
        )


def _memory() -> int | None:
    """Bytes of this machine's memory, where the system tells."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError):  # Windows, and names that a system does not know
        return None


def _num_ids(ids: NDArray[np.int32]) -> int:
    return int(ids.max(initial=-1)) + 1


def _num_dense_ids(name: str, ids: NDArray[np.int32], needed: str) -> int:
    """One more than the greatest, refused where that is far more than there are ids: what is
    counted by it would fill the memory with nothing."""
    size = _num_ids(ids)
    if size > min(_MOST, max(_FEW, _SPARSEST * ids.size)):
        raise InvalidInput(
            f"{name}[{ids.argmax()}]={size - 1:,} of {ids.size:,}: {needed.format(size=size)}; "
            f"number ids from 0 on (numpy.unique(..., return_inverse=True))"
        )
    return size


def task_table(
    task_ids: Sequence[str] | None, tree_id: NDArray[np.int32], num_trees: int | None
) -> Sequence[str]:
    if task_ids is None:
        if num_trees is None:
            gigabytes = _num_ids(tree_id) * _TREE_BYTES / 1e9
            needed = f"{{size:,}} trees need {gigabytes:.1f} GB, give num_trees= if they are meant"
            num_trees = _num_dense_ids("tree_id", tree_id, needed)
        return NumberedTexts("task", num_trees)
    _check_table("task_ids", task_ids)
    if num_trees is not None and len(task_ids) != num_trees:
        raise InvalidInput(f"task_ids has {len(task_ids)} texts; expected num_trees={num_trees}")
    if len(set(task_ids)) < len(task_ids):
        raise InvalidInput("task_ids names a task twice; give each tree its own")
    return _own(task_ids)


def text_table(
    name: str, texts: Sequence[str] | None, ids_name: str, ids: NDArray[np.int32]
) -> Sequence[str]:
    if texts is None:
        size = _num_dense_ids(ids_name, ids, f"{{size:,}} {name} would have to be named")
        return NumberedTexts(ids_name.removesuffix("_id"), size)
    size = _num_ids(ids)
    _check_table(name, texts)
    if len(texts) < size:
        place = f"{ids_name}[{ids.argmax()}]={size - 1}"
        raise InvalidInput(f"{place} has no text: {name} has {len(texts)}")
    return _own(texts)


def _own(texts: Sequence[str]) -> Sequence[str]:
    """The forest's: the caller may go on with a list."""
    return texts if isinstance(texts, TextColumn | NumberedTexts) else tuple(texts)


def read_texts(
    texts: Sequence[str], ids: NDArray[np.int32]
) -> tuple[tuple[str, ...], NDArray[np.int32]]:
    """The texts in use, each once, by first appearance: what a rule that looks at them needs to
    merge as it does for trajectories."""
    if isinstance(texts, NumberedTexts):
        raise InvalidInput(
            "merging looks at what observations say, and they are given as ids alone; "
            "give their texts: observations="
        )
    used, first, place = np.unique(ids, return_index=True, return_inverse=True)
    if len(used) and used[0] < 0:  # before it counts texts from the end
        raise InvalidInput(f"observation_id[{first[0]}]={used[0]} is negative")
    if len(used) and used[-1] >= len(texts):
        raise InvalidInput("observation_id was changed while it was read")
    number: dict[str, int] = {}
    new = np.empty_like(used)
    for i in np.argsort(first):
        new[i] = number.setdefault(texts[used[i]], len(number))
    return tuple(number), new[place].reshape(ids.shape)


def _check_table(name: str, texts: Sequence[str]) -> None:
    if isinstance(texts, str | bytes) or not isinstance(texts, Sequence):
        raise TypeError(f"{name} is {type(texts).__name__}; expected a sequence of str")
    if isinstance(texts, TextColumn | NumberedTexts) or set(map(type, texts)) <= {str}:
        return
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"{name}[{i}] is {type(text).__name__}; expected str")
