"""The returns of the runs that took an action and then played on as they would.

    h ─┬─ a ─ c ─┬─ …  1.0     started after "a c": what came between "a" and there was given to
       │         └─ …  0.0     it, so it says nothing of "a", but of "c", where it went on freely
       └─ b ─ …        0.5

A run counts at a decision of its own, and at the last step of its prefix (`origin.prefix_length`):
the state after that step is the one that any run comes to that takes it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from w2stree.forest.tree import Tree
from w2stree.trajectories.trajectory import Trajectory


@dataclass(frozen=True, slots=True)
class Taken:
    """An action at a decision divergence. `returns`, ascending, are of the runs that count there.

    `start` is the node that it led to, where another run may start: None where it had several
    answers, of which one is not the action, and where every run ended with it.
    """

    action: str
    returns: tuple[float, ...]
    start: int | None


def taken_actions(tree: Tree) -> dict[int, list[Taken]]:
    """Of each decision divergence, in node order, the actions that runs count for, by their first
    child. O(nodes + runs · depth of the divergences)."""
    forest, root = tree.forest, tree.root
    inside = slice(root, root + tree.num_nodes)
    found = {}
    for node in (root + np.flatnonzero(forest.is_decision_divergence[inside])).tolist():
        children: dict[int, list[int]] = {}
        for child in tree.children(node):
            children.setdefault(int(forest.action_id[child]), []).append(child)
        actions = [_taken(tree, action, of) for action, of in children.items()]
        found[node] = [action for action in actions if action.returns]
    return found


def is_free(run: Trajectory, depth: int) -> bool:
    """Whether the run's return says something of its step number `depth` (the first is 0)."""
    return (run.origin.prefix_length or 0) <= depth + 1


def _taken(tree: Tree, action: int, children: list[int]) -> Taken:
    forest = tree.forest
    depth = int(forest.depth[children[0]]) - 1
    returns = []
    for child in children:
        begin = int(forest.first_trajectory[child])
        for run in forest.trajectory_order[begin : begin + int(forest.num_trajectories[child])]:
            if is_free(forest.trajectories[run], depth):
                returns.append(float(forest.total_return[run]))
    start = children[0] if len(children) == 1 else None
    if start is not None and forest.num_terminal[start] == forest.num_trajectories[start]:
        start = None
    return Taken(forest.actions[action], tuple(sorted(returns)), start)
