"""The method in plain Python, slow and obvious: what the core must agree with exactly.

Written from the rules of the paper (tree, Eq. 6, Eq. 7), not from the C++: nested objects,
dictionaries and lists, no ids. The last part is the authors' published demo, rewritten from
its behaviour, which `stop_arm=False` must equal bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Context, Decimal
from functools import cache

from w2stree.trajectories.trajectory import Trajectory

Key = tuple[str, str]


@dataclass(eq=False)
class Statistics:
    """Of the search: the values backed up through a node, or through stopping there."""

    visit_count: int = 0
    value_sum: float = 0.0
    value_max: float = -math.inf

    def add(self, value: float) -> None:
        self.visit_count += 1
        self.value_sum += value
        self.value_max = max(self.value_max, value)


@dataclass(eq=False)
class Node(Statistics):
    """A history. Children by (action, observation); a dict keeps insertion order."""

    key: Key | None = None
    parent: Node | None = None
    children: dict[Key, Node] = field(default_factory=dict)
    through: list[int] = field(default_factory=list)  # trajectory indices, in input order
    ending: list[int] = field(default_factory=list)
    stop: Statistics = field(default_factory=Statistics)

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
                node.children[key] = Node(key=key, parent=node)
            node = node.children[key]
            node.through.append(index)
        node.ending.append(index)
    return roots


def path_of(roots: dict[str, Node], trajectory: Trajectory) -> Iterator[Node]:
    """The node that each of its steps leads to."""
    node = roots[trajectory.task_id]
    for step in trajectory.steps:
        node = node.children[step.action, step.observation]
        yield node


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
    return_range: tuple[float, float] = (0.0, 1.0),
) -> list[Pair]:
    """By node in pre-order; then chosen by action (as first seen among the children), return,
    index; then rejected by return, index. What is equal but for rounding is equal."""
    found = []
    low, high = return_range
    success = None if success_threshold is None else low + success_threshold * (high - low)
    for number, node in enumerate(all_nodes(roots)):
        action_number = {a: i for i, a in enumerate(dict.fromkeys(a for a, _ in node.children))}
        action = {i: _action_at(trajectories[i], node.depth) for i in node.through}
        going_on = [i for i in node.through if action[i] is not None]
        by_return = sorted(going_on, key=lambda i: trajectories[i].total_return)
        for chosen in sorted(by_return, key=lambda i: action_number[action[i]]):
            for rejected in by_return:
                better, worse = (trajectories[i].total_return for i in (chosen, rejected))
                if action[chosen] == action[rejected] or not better > worse + close(worse):
                    continue
                if success is not None and not (
                    at_least(better, success) and not at_least(worse, success)
                ):
                    continue
                if at_least(better, worse + min_gap):
                    found.append((number, chosen, rejected, better - worse))
    return found


def close(value: float) -> float:
    return 1e-12 * max(1000.0, abs(value))


def at_least(value: float, threshold: float) -> bool:
    return value >= threshold - close(threshold)


def best_worst(found: Sequence[Pair]) -> list[Pair]:
    """Of each node, the pair of greatest gap; ties: lowest chosen, then lowest rejected."""
    best: dict[int, Pair] = {}
    for pair in sorted(found, key=lambda p: (p[0], -p[3], p[1], p[2])):
        best.setdefault(pair[0], pair)
    return list(best.values())


def _action_at(trajectory: Trajectory, depth: int) -> str | None:
    return trajectory.steps[depth].action if depth < len(trajectory.steps) else None


# Search, Eq. 7 --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Path:
    end: Node
    trajectory: int  # the best that ends there, the first of equals
    value: float
    visit_count: int


@dataclass(frozen=True, kw_only=True)
class Search:
    """The options of a search, and its rules."""

    num_simulations: int
    exploration: float = 1.41
    return_range: tuple[float, float] = (0.0, 1.0)
    stop_arm: bool = True
    backup: str = "mean"
    min_visits: int = 0
    num_paths: int = 1
    patience: int | None = None

    def __call__(self, trajectories: Sequence[Trajectory], root: Node) -> list[Path]:
        """Runs the descents, leaving statistics in the nodes; returns the best paths."""
        last_look = None
        for number in range(1, self.num_simulations + 1):
            self.descend(trajectories, root)
            if self.patience is not None and number % self.patience == 0:
                look = self.greedy_end(root)
                if look is last_look:
                    break
                last_look = look
        return self.best_paths(trajectories, root)

    def descend(self, trajectories: Sequence[Trajectory], root: Node) -> None:
        path = [root]
        while isinstance(arm := self.explore(path[-1]), Node):
            path.append(arm)
        value = mean_return(trajectories, path[-1].ending)
        for statistics in (*path, arm):
            statistics.add(value)

    def arms(self, node: Node) -> list[Statistics]:
        """In order: stopping where trajectories end, then the children."""
        if not node.children or (self.stop_arm and node.ending):
            return [node.stop, *node.children.values()]
        return list(node.children.values())

    def value(self, arm: Statistics) -> float:
        return arm.value_sum / arm.visit_count if self.backup == "mean" else arm.value_max

    def explore(self, node: Node) -> Statistics:
        arms = self.arms(node)
        for arm in arms:
            if arm.visit_count == 0:
                return arm
        if len(arms) == 1:
            return arms[0]
        log_total = log(sum(arm.visit_count for arm in arms) + 1e-12)
        low, high = self.return_range
        exploration = self.exploration * (high - low)

        def score(arm: Statistics) -> float:
            if arm is node.stop:  # one visit tells all of it: nothing to explore
                return self.value(arm)
            return self.value(arm) + exploration * math.sqrt(log_total / arm.visit_count)

        return max(arms, key=score)

    def exploit(self, node: Node, arms: list[Statistics]) -> Statistics:
        def is_visited_enough(arm: Statistics) -> bool:
            is_known = arm is node.stop and node.children and arm.visit_count > 0
            return is_known or arm.visit_count >= self.min_visits

        arms = [arm for arm in arms if is_visited_enough(arm)] or arms
        if self.stop_arm:
            arms = [arm for arm in arms if arm.visit_count > 0] or arms[:1]
        return max(arms, key=lambda arm: self.value(arm) if arm.visit_count > 0 else -999999)

    def greedy_end(self, root: Node) -> Node:
        node = root
        while isinstance(arm := self.exploit(node, self.arms(node)), Node):
            node = arm
        return node

    def best_paths(self, trajectories: Sequence[Trajectory], root: Node) -> list[Path]:
        ends = [self.greedy_end(root)]
        while len(ends) < self.num_paths and has_other_ending(root, ends):
            node = root
            while isinstance(arm := self.exploit(node, self.arms_to_others(node, ends)), Node):
                node = arm
            ends.append(node)
        return [
            Path(
                end,
                max(end.ending, key=lambda i: trajectories[i].total_return),
                mean_return(trajectories, end.ending),
                end.stop.visit_count,
            )
            for end in ends
        ]

    def arms_to_others(self, node: Node, taken: list[Node]) -> list[Statistics]:
        return [
            arm
            for arm in self.arms(node)
            if (
                has_other_ending(arm, taken)
                if isinstance(arm, Node)
                else is_other_ending(node, taken)
            )
        ]


def is_other_ending(node: Node, taken: list[Node]) -> bool:
    return node.stop.visit_count > 0 and node not in taken


def has_other_ending(node: Node, taken: list[Node]) -> bool:
    return any(is_other_ending(below, taken) for below in node.preorder())


@cache
def log(x: float) -> float:
    """Rounded correctly: `math.log` may be off by one in the last bit, and so by machine."""
    return float(Decimal(x).ln(Context(prec=60)))


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
