"""A pack by a careful dict trie in Python: what one writes without a core.

Children in one dict keyed by (node, token), as numbers: no object a node. Pre-order, depths and
ends are worked out afterwards, the columns by NumPy. Garbage collection is off meanwhile.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2stree.training.trees.sequences import ScoredIds

_SHIFT = 32  # a key is node << 32 | token


def pack(sequences: Sequence[ScoredIds]) -> dict[str, NDArray[Any]]:
    """The columns of `w2stree.training.trees.pack.Pack` that make it, equal sequences laid out
    each time: their entries are apart."""
    collects = gc.isenabled()
    gc.disable()
    parent, token, node_of, ends = _grow(sequences)
    order = np.array(_preorder(parent), np.int64)
    if collects:
        gc.enable()
    number = np.empty(len(order) + 1, np.int64)
    number[order] = np.arange(len(order))
    number[-1] = -1
    parents = number[np.array(parent, np.int64)[order]]
    position, end = _positions_and_ends(parents.tolist())
    weight = np.concatenate([s.weight for s in sequences])
    counted = np.flatnonzero(weight)
    lengths = [len(s.ids) for s in sequences]
    return {
        "token": np.array(token, np.int64)[order],
        "position": position,
        "parent": parents,
        "end": end,
        "end_node": number[ends],
        "entry_score": np.repeat(np.arange(len(sequences)), lengths)[counted],
        "node": number[np.array(node_of, np.int64)[counted]],
        "weight": weight[counted],
    }


def _grow(sequences: Sequence[ScoredIds]) -> tuple[list[int], list[int], list[int], list[int]]:
    """By node, in order of creation, its parent and token; by token its node; where each ends."""
    below: dict[int, int] = {}
    first: dict[tuple[int, int], int] = {}  # of a tree
    parent: list[int] = []
    token: list[int] = []
    node_of: list[int] = []
    ends: list[int] = []
    for s in sequences:
        ids = s.ids.tolist()
        node = first.setdefault((s.tree, ids[0]), len(parent))
        if node == len(parent):
            parent.append(-1)
            token.append(ids[0])
        node_of.append(node)
        for one in ids[1:]:
            child = below.setdefault(node << _SHIFT | one, len(parent))
            if child == len(parent):
                parent.append(node)
                token.append(one)
            node = child
            node_of.append(node)
        ends.append(node)
    return parent, token, node_of, ends


def _preorder(parent: list[int]) -> list[int]:
    """Beginnings of one tree follow one another here: trees come one after the other."""
    children: dict[int, list[int]] = {}
    for node, above in enumerate(parent):
        children.setdefault(above, []).append(node)
    order: list[int] = []
    pending = children[-1][::-1]
    while pending:
        node = pending.pop()
        order.append(node)
        pending.extend(reversed(children.get(node, ())))
    return order


def _positions_and_ends(parent: list[int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    position: list[int] = []
    for above in parent:
        position.append(position[above] + 1 if above >= 0 else 0)
    end = list(range(1, len(parent) + 1))
    for node in range(len(parent) - 1, -1, -1):
        above = parent[node]
        if above >= 0 and end[above] < end[node]:
            end[above] = end[node]
    return np.array(position, np.int64), np.array(end, np.int64)
