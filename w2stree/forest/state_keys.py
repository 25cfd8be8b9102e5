"""What the caller calls each node, as the core takes it: equal keys, equal numbers; -1 for none."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2stree.errors import InvalidInput
from w2stree.shorten import shorten

StateKeys = NDArray[Any] | Iterable[Hashable | None]
"""One key a node: a text, a whole number from 0 on, or a tuple of texts, whole numbers, None and
such tuples; None or -1 for a state of its own."""


def key_ids(keys: StateKeys, num_nodes: int) -> NDArray[np.int32]:
    """`[num_nodes]` numbers below `num_nodes`, an array of its own. Raises `InvalidInput` for
    another number of keys and naming the first that is none. O(num_nodes), and for an array of
    numbers as large as that or larger its sorting."""
    if isinstance(keys, np.ndarray) and keys.dtype.kind in "iu":
        return _ids_of_numbers(keys, num_nodes)
    if isinstance(keys, str | bytes):
        raise InvalidInput(f"keys is {type(keys).__name__}; expected one key a node")
    given = keys.tolist() if isinstance(keys, np.ndarray) else keys
    return _ids_of_values(given, num_nodes)


def _ids_of_numbers(keys: NDArray[Any], num_nodes: int) -> NDArray[np.int32]:
    if keys.shape != (num_nodes,):
        raise InvalidInput(f"keys has shape {keys.shape}; expected ({num_nodes},), one a node")
    given = keys.copy()  # whoever else holds the array may write to it
    if not given.size:
        return np.empty(0, np.int32)
    if int(given.min()) < -1:
        i = int(np.argmax(given < -1))
        raise InvalidInput(_refusal(i, int(given[i])))
    if int(given.max()) < num_nodes:
        return given.astype(np.int32)
    ids = np.unique(given, return_inverse=True)[1].astype(np.int32)
    ids[given == -1] = -1
    return ids


def _ids_of_values(keys: Iterable[Hashable | None], num_nodes: int) -> NDArray[np.int32]:
    ids = np.empty(num_nodes, np.int32)
    known: dict[Hashable, int] = {}
    count = 0
    for count, key in enumerate(islice(keys, num_nodes + 1), 1):
        if count > num_nodes:
            raise InvalidInput(f"keys has more than {num_nodes} elements; expected one a node")
        ids[count - 1] = _id_of(key, known, count - 1)
    if count < num_nodes:
        raise InvalidInput(f"keys has {count} elements; expected {num_nodes}, one a node")
    return ids


def _id_of(key: object, known: dict[Hashable, int], i: int) -> int:
    """The number of the i-th key, a new one if it was not known before."""
    is_number = isinstance(key, int | np.integer) and not isinstance(key, bool)
    if key is None or (is_number and key == -1):
        return -1
    if isinstance(key, str) or (is_number and key >= 0) or _is_tuple(key):  # type: ignore[operator]
        return known.setdefault(key, len(known))
    raise InvalidInput(_refusal(i, key))


def _is_tuple(key: object) -> bool:
    """Of parts of which equal ones are one thing: 1, 1.0 and True are equal, and a NaN is not."""
    return isinstance(key, tuple) and all(
        part is None
        or isinstance(part, str)
        or (isinstance(part, int | np.integer) and not isinstance(part, bool))
        or _is_tuple(part)
        for part in key
    )


def _refusal(i: int, key: object) -> str:
    return (
        f"keys[{i}] is {shorten(repr(key), 60)}; expected a text, a whole number >= 0, a tuple of "
        "texts, whole numbers and None, or None (or -1) for a state of its own"
    )
