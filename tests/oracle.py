"""The method in plain Python, slow and obvious: what the core must agree with exactly.

Written from the rules of the paper (tree, Eq. 6, Eq. 7), not from the C++: nested objects,
dictionaries and lists, no ids. The last part is the authors' published demo, rewritten from
its behaviour, which `stop_arm=False` must equal bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from w2stree.trajectory import Trajectory

Key = tuple[str, str]


@dataclass(eq=False)
class Node:
    """A history. Children by (action, observation); a dict keeps insertion order."""

    key: Key | None = None
    parent: Node | None = None
    children: dict[Key, Node] = field(default_factory=dict)
    through: list[int] = field(default_factory=list)  # trajectory indices, in input order
    ending: list[int] = field(default_factory=list)

    visit_count: int = 0
    value_sum: float = 0.0
    stop_visit_count: int = 0
    stop_value_sum: float = 0.0

    @property
    def depth(self) -> int:
        return 0 if self.parent is None else self.parent.depth + 1

    def preorder(self) -> Iterator[Node]:
        yield self
        for child in self.children.values():
            yield from child.preorder()


def build(trajectories: Sequence[Trajectory]) -> dict[str, Node]:
    """One tree per task, tasks in order of first appearance."""
    roots: dict[str, Node] = {}
    for index, trajectory in enumerate(trajectories):
        node = roots.setdefault(trajectory.task_id, Node())
        node.through.append(index)
        for step in trajectory.steps:
            key = (step.action, step.observation)
            if key not in node.children:
                node.children[key] = Node(key, node)
            node = node.children[key]
            node.through.append(index)
        node.ending.append(index)
    return roots


def all_nodes(roots: dict[str, Node]) -> list[Node]:
    return [node for root in roots.values() for node in root.preorder()]


def add_up(values: Sequence[float]) -> float:
    """Left to right from 0.0 (the built-in sum compensates rounding from Python 3.12 on)."""
    total = 0.0
    for value in values:
        total += value
    return total


def mean_return(trajectories: Sequence[Trajectory], indices: Sequence[int]) -> float:
    return add_up([trajectories[i].total_return for i in indices]) / len(indices)


# Pairs, Eq. 6 ---------------------------------------------------------------------------------


Pair = tuple[int, int, int, float]  # node, chosen, rejected, gap


def pairs(
    trajectories: Sequence[Trajectory],
    roots: dict[str, Node],
    min_gap: float,
    success_threshold: float | None = None,
) -> list[Pair]:
    """By node in pre-order; then chosen by action (as first seen among the children), return,
    index; then rejected by return, index."""
    found = []
    for number, node in enumerate(all_nodes(roots)):
        action_number = {a: i for i, a in enumerate(dict.fromkeys(a for a, _ in node.children))}
        action = {i: _action_at(trajectories[i], node.depth) for i in node.through}
        going_on = [i for i in node.through if action[i] is not None]
        by_return = sorted(going_on, key=lambda i: trajectories[i].total_return)
        for chosen in sorted(by_return, key=lambda i: action_number[action[i]]):
            for rejected in by_return:
                better, worse = (trajectories[i].total_return for i in (chosen, rejected))
                if action[chosen] == action[rejected] or not better > worse:
                    continue
                if success_threshold is not None and not better >= success_threshold > worse:
                    continue
                if better - worse >= min_gap:
                    found.append((number, chosen, rejected, better - worse))
    return found


def best_worst(found: Sequence[Pair]) -> list[Pair]:
    """Of each node, the pair of greatest gap; ties: lowest chosen, then lowest rejected."""
    best: dict[int, Pair] = {}
    for pair in sorted(found, key=lambda p: (p[0], -p[3], p[1], p[2])):
        best.setdefault(pair[0], pair)
    return list(best.values())


def _action_at(trajectory: Trajectory, depth: int) -> str | None:
    return trajectory.steps[depth].action if depth < len(trajectory.steps) else None


# Search, Eq. 7 --------------------------------------------------------------------------------

STOP = "STOP"


def search(
    trajectories: Sequence[Trajectory],
    root: Node,
    *,
    num_simulations: int,
    exploration: float,
    stop_arm: bool,
) -> tuple[Node, int]:
    """Runs the descents, leaving statistics in the nodes; returns the best path's end and the
    trajectory that represents it."""
    for _ in range(num_simulations):
        path = [root]
        while (arm := _explore(path[-1], exploration, stop_arm)) is not STOP:
            path.append(arm)
        value = mean_return(trajectories, path[-1].ending)
        path[-1].stop_visit_count += 1
        path[-1].stop_value_sum += value
        for node in path:
            node.visit_count += 1
            node.value_sum += value
    end = root
    while (arm := _exploit(end, stop_arm)) is not STOP:
        end = arm
    return end, max(end.ending, key=lambda i: trajectories[i].total_return)


def _arms(node: Node, stop_arm: bool) -> list:
    """(arm, visits, value) in order: STOP where trajectories end, then the children."""
    children = [(child, child.visit_count, child.value_sum) for child in node.children.values()]
    if not children or (stop_arm and node.ending):
        return [(STOP, node.stop_visit_count, node.stop_value_sum), *children]
    return children


def _explore(node: Node, exploration: float, stop_arm: bool):
    arms = _arms(node, stop_arm)
    for arm, visits, _ in arms:
        if visits == 0:
            return arm
    total = sum(visits for _, visits, _ in arms)

    def score(arm):
        _, c, r = arm
        return r / c + exploration * math.sqrt(math.log(total + 1e-12) / c)

    return max(arms, key=score)[0]


def _exploit(node: Node, stop_arm: bool):
    arms = _arms(node, stop_arm)
    if stop_arm:
        arms = [arm for arm in arms if arm[1] > 0] or arms[:1]
    return max(arms, key=lambda arm: arm[2] / arm[1] if arm[1] > 0 else -999999)[0]


# The authors' demo ----------------------------------------------------------------------------


@dataclass(eq=False)
class DemoNode:
    state: str
    action: str
    children: list[DemoNode] = field(default_factory=list)
    data_count: int = 0
    data_sum: float = 0.0
    search_count: int = 0
    search_sum: float = 0.0


def demo_build(trajectories: Sequence[Trajectory]) -> DemoNode:
    """One task's tree. Scans children for the step; counts at every node but the root."""
    root = DemoNode("ROOT", "")
    for trajectory in trajectories:
        node = root
        for step in trajectory.steps:
            for child in node.children:
                if child.action == step.action and child.state == step.observation:
                    break
            else:
                child = DemoNode(step.observation, step.action)
                node.children.append(child)
            child.data_count += 1
            child.data_sum += trajectory.total_return
            node = child
    return root


def demo_search(root: DemoNode, num_simulations: int, exploration: float) -> None:
    """A leaf's value is the mean over all trajectories through it; the root is not backed up."""
    for _ in range(num_simulations):
        node, path = root, []
        while node.children:
            total = sum(child.search_count for child in node.children) + 1e-12

            def score(child: DemoNode, total: float = total) -> float:
                if child.search_count == 0:
                    return math.inf
                bonus = exploration * math.sqrt(math.log(total) / child.search_count)
                return child.search_sum / child.search_count + bonus

            node = max(node.children, key=score)
            path.append(node)
        value = node.data_sum / node.data_count if node.data_count > 0 else 0
        for node in path:
            node.search_count += 1
            node.search_sum += value


def demo_best_path(root: DemoNode) -> list[DemoNode]:
    node, path = root, []
    while node.children:
        node = max(
            node.children,
            key=lambda c: c.search_sum / c.search_count if c.search_count > 0 else -999999,
        )
        path.append(node)
    return path


def demo_preorder(node: DemoNode) -> Iterator[DemoNode]:
    yield node
    for child in node.children:
        yield from demo_preorder(child)
