"""A careful dict trie in Python: what an experienced author writes when the demo is too slow.

Children in a dict keyed by (action, observation); a node is a number and its fields are entries
of lists, which costs less than an object with `__slots__` and turns into arrays at once. Counts
and returns are added on the way down, in input order; everything else is worked out by node,
where NumPy can, on the columns. Garbage collection is off meanwhile: nothing here is garbage.
Steps are texts or ids.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

Step = tuple[Any, Any]


class Trie:
    """Columns by node, in order of creation."""

    __slots__ = (
        "children",
        "end_node",
        "num_terminal",
        "num_trajectories",
        "parent",
        "return_sum",
        "roots",
        "step",
    )

    def __init__(self) -> None:
        self.roots: dict[Any, int] = {}  # by task
        self.children: list[dict[Step, int]] = []
        self.parent: list[int] = []
        self.step: list[Step] = []
        self.num_trajectories: list[int] = []
        self.num_terminal: list[int] = []
        self.return_sum: list[float] = []
        self.end_node: list[int] = []  # by trajectory


def build(
    task: Sequence[Any],
    actions: Sequence[Sequence[Any]],
    observations: Sequence[Sequence[Any]],
    total_return: Sequence[float],
) -> Trie:
    collects = gc.isenabled()
    gc.disable()
    trie = Trie()
    roots, children, parent, step_of = trie.roots, trie.children, trie.parent, trie.step
    count, ending, total = trie.num_trajectories, trie.num_terminal, trie.return_sum
    num_nodes = 0
    for task_id, row_actions, row_observations, value in zip(
        task, actions, observations, total_return, strict=True
    ):
        node = roots.get(task_id, -1)
        if node < 0:
            node = roots[task_id] = num_nodes
            num_nodes += 1
            children.append({})
            parent.append(-1)
            step_of.append((-1, -1))
            count.append(0)
            ending.append(0)
            total.append(0.0)
        count[node] += 1
        total[node] += value
        for step in zip(row_actions, row_observations, strict=True):
            below = children[node]
            child = below.get(step)
            if child is None:
                below[step] = num_nodes
                children.append({})
                parent.append(node)
                step_of.append(step)
                count.append(1)
                ending.append(0)
                total.append(0.0 + value)
                node = num_nodes
                num_nodes += 1
            else:
                node = child
                count[node] += 1
                total[node] += value
        ending[node] += 1
        trie.end_node.append(node)
    if collects:
        gc.enable()
    return trie


def to_arrays(trie: Trie, *, with_steps: bool = True) -> dict[str, NDArray[Any]]:
    """The core's node arrays, in pre-order. Steps must be ids unless `with_steps` is off."""
    order = np.array(_preorder(trie), np.int32)
    number = np.empty(len(order) + 1, np.int32)  # of a node; the last entry: of no node
    number[order] = np.arange(len(order), dtype=np.int32)
    number[-1] = -1
    parent = number[np.array(trie.parent, np.int32)[order]]
    is_child = parent >= 0
    arrays: dict[str, NDArray[Any]] = {
        "root": number[list(trie.roots.values())],
        "parent": parent,
        "num_children": np.bincount(parent[is_child], minlength=len(order)).astype(np.int32),
        "num_trajectories": np.array(trie.num_trajectories, np.int32)[order],
        "num_terminal": np.array(trie.num_terminal, np.int32)[order],
        "return_sum": np.array(trie.return_sum, np.float64)[order],
        "end_node": number[np.array(trie.end_node, np.int32)],
    }
    arrays["num_actions"] = _num_actions(trie, order, arrays["num_children"])
    arrays["depth"], arrays["subtree_end"] = _depth_and_subtree_end(parent)
    ended = np.cumsum(arrays["num_terminal"], dtype=np.int32)
    arrays["first_trajectory"] = ended - arrays["num_terminal"]
    arrays["trajectory_order"] = np.argsort(arrays["end_node"], kind="stable").astype(np.int32)
    if with_steps:
        ids = np.fromiter(chain.from_iterable(trie.step), np.int32, 2 * len(order))
        arrays["action_id"], arrays["observation_id"] = ids[::2][order], ids[1::2][order]
    return arrays


def _preorder(trie: Trie) -> list[int]:
    children = trie.children
    order: list[int] = []
    pending = list(reversed(trie.roots.values()))
    while pending:
        node = pending.pop()
        order.append(node)
        while below := children[node]:
            if len(below) > 1:
                pending.extend(reversed(below.values()))
                break
            (node,) = below.values()
            order.append(node)
    return order


def _num_actions(
    trie: Trie, order: NDArray[np.int32], num_children: NDArray[np.int32]
) -> NDArray[np.int32]:
    num_actions = num_children.copy()
    for i in np.flatnonzero(num_children > 1).tolist():
        num_actions[i] = len({action for action, _ in trie.children[order[i]]})
    return num_actions


def _depth_and_subtree_end(
    parent: NDArray[np.int32],
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Children have greater numbers: one sweep down, one up, each node closing its parent."""
    above = parent.tolist()
    depth: list[int] = []
    for p in above:
        depth.append(depth[p] + 1 if p >= 0 else 0)
    end = [0] * len(above)
    for node in range(len(above) - 1, -1, -1):
        node_end = end[node]
        if node_end == 0:
            node_end = end[node] = node + 1
        p = above[node]
        if p >= 0 and end[p] == 0:
            end[p] = node_end
    return np.array(depth, np.int32), np.array(end, np.int32)
