"""One Python object a node, a list of children scanned from the front: the published demo's style.

Written from the behaviour of the method's demo (as `tests/support/oracle.py` is): a node keeps
its state and action, its children and four numbers; building compares action and state with each
child in turn; search sums the children's counts and takes `max` with a key function. Nothing is
cached or numbered, the root is not backed up, and trajectories that end at inner nodes are never
scored (`stop_arm=False`). Readable and short, and what people start from. It makes no arrays.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(eq=False)
class Node:
    state: Any
    action: Any
    children: list[Node] = field(default_factory=list)
    data_count: int = 0
    data_sum: float = 0.0
    search_count: int = 0
    search_sum: float = 0.0


def build(
    task: Sequence[Any],
    actions: Sequence[Sequence[Any]],
    observations: Sequence[Sequence[Any]],
    total_return: Sequence[float],
) -> dict[Any, Node]:
    """One tree a task; steps are texts or ids. Counts at every node but the roots."""
    roots: dict[Any, Node] = {}
    rows = zip(task, actions, observations, total_return, strict=True)
    for task_id, row_actions, row_observations, value in rows:
        if task_id not in roots:
            roots[task_id] = Node("ROOT", "")
        node = roots[task_id]
        for action, state in zip(row_actions, row_observations, strict=True):
            for child in node.children:
                if child.action == action and child.state == state:
                    break
            else:
                child = Node(state, action)
                node.children.append(child)
            child.data_count += 1
            child.data_sum += value
            node = child
    return roots


def search(root: Node, num_simulations: int, exploration: float) -> list[Node]:
    """Runs the descents, leaving their statistics in the nodes; returns the greedy path."""
    for _ in range(num_simulations):
        node, path = root, []
        while node.children:
            total = sum(child.search_count for child in node.children) + 1e-12

            def score(child: Node, total: float = total) -> float:
                if child.search_count == 0:
                    return math.inf
                bonus = exploration * math.sqrt(math.log(total) / child.search_count)
                return child.search_sum / child.search_count + bonus

            node = max(node.children, key=score)
            path.append(node)
        value = node.data_sum / node.data_count if node.data_count > 0 else 0.0
        for node in path:
            node.search_count += 1
            node.search_sum += value
    return _best_path(root)


def _best_path(root: Node) -> list[Node]:
    node, path = root, []
    while node.children:
        node = max(
            node.children,
            key=lambda c: c.search_sum / c.search_count if c.search_count > 0 else -999999,
        )
        path.append(node)
    return path


def reset(root: Node) -> None:
    """Forgets a search, so that the next one starts afresh."""
    for node in preorder(root):
        node.search_count = 0
        node.search_sum = 0.0


def preorder(root: Node) -> Iterator[Node]:
    pending = [root]
    while pending:
        node = pending.pop()
        yield node
        pending.extend(reversed(node.children))
