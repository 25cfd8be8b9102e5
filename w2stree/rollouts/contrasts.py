"""Contrasts: two actions that runs took at one node, and what the runs' returns say of them.

h ─┬─ a ─ …   1.0, 0.5         a against b: the forest asserts a, by 0.5 on average
   └─ b ─ …   0.25             continuations from both tell whether a is why (`continuations`)
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

import numpy as np

from w2stree.errors import InvalidInput
from w2stree.forest.forest import Forest
from w2stree.forest.tree import Tree
from w2stree.trajectories.returns import is_same
from w2stree.trajectories.trajectory import Trajectory

Order = Literal["gap", "variance", "random"]
"""`gap`: the sum of the gaps of all pairs of runs through the two actions, n_a n_b |mean_a -
mean_b|. `variance`: of the returns of the runs through the node. `random`: drawn, so that what is
measured stands for all."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the actions, and the runs of the forest that took it there."""

    action: str
    trajectory: int
    """The first of them: its index in the forest."""
    num_trajectories: int
    mean_return: float
    known_return: float | None
    """Of an action that ended the episode: there is nothing to continue."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """Two actions at a node. The forest asserts the `better` one: its mean return is greater."""

    task_id: str
    node: int
    depth: int
    """Steps before the actions."""
    history: int
    """The first trajectory through the node: both actions are played after its steps."""
    better: Side
    other: Side

    @property
    def sides(self) -> tuple[Side, Side]:
        return self.better, self.other

    @property
    def gap(self) -> float:
        """The difference of the means, > 0."""
        return self.better.mean_return - self.other.mean_return

    @property
    def support(self) -> int:
        """Runs behind the side that has fewer."""
        return min(side.num_trajectories for side in self.sides)

    def opening(self, forest: Forest, side: Side) -> Trajectory:
        """The shared history and then the side's step, as a trajectory that ends there.

        The step's return is the one of the run that it is of. Ids are kept where both runs have
        them of one tokenizer.
        """
        history, taken = forest.trajectories[self.history], forest.trajectories[side.trajectory]
        steps = (*history.steps[: self.depth], taken.steps[self.depth])
        tokenizer = taken.origin.tokenizer
        if history.origin.tokenizer != tokenizer:
            tokenizer = None
            steps = tuple(replace(step, token_ids=None, logprobs=None) for step in steps)
        return replace(taken, steps=steps, origin=replace(taken.origin, tokenizer=tokenizer))


def contrasts_of(tree: Tree) -> list[Contrast]:
    """All of a tree whose mean returns differ, by node, then by the actions in order of their first
    appearance. O(nodes · actions²)."""
    forest, root = tree.forest, tree.root
    inside = slice(root, root + tree.num_nodes)
    nodes = root + np.flatnonzero(forest.is_decision_divergence[inside])
    found = []
    for node in map(int, nodes):
        for one, two in combinations(_sides(tree, node), 2):
            if not is_same(two.mean_return, one.mean_return):
                is_first = one.mean_return > two.mean_return
                better, other = (one, two) if is_first else (two, one)
                history = min(_runs_through(forest, node))
                depth = int(forest.depth[node])
                found.append(Contrast(tree.task_id, node, depth, history, better, other))
    return found


def choose_contrasts(
    forest: Forest, *, order: Order, per_task: int | None, seed: int
) -> list[Contrast]:
    """At most `per_task` of each tree (None: all), its first ones by `order`; ties to the lowest
    node. The first of every tree come before the second ones, so that a budget that ends early has
    gone to all tasks alike. Which are drawn by `random` depends on seed and task alone.

    Raises `InvalidInput` for another `order`, and for a `per_task` below 1.
    """
    if order not in ("gap", "variance", "random"):
        raise InvalidInput(f"order is {order!r}; use gap, variance or random")
    if per_task is not None and per_task < 1:
        raise InvalidInput(f"per_task is {per_task}; give at least 1, or None: all")
    by_task = []
    for task_id in forest.task_ids:
        tree = forest[task_id]
        found = contrasts_of(tree)
        if order == "random":
            found = [found[i] for i in _rng(seed, task_id).permutation(len(found))]
        else:
            worth = _gap_sum if order == "gap" else _variance
            found = sorted(found, key=lambda c: -worth(forest, c))
        by_task.append(found[:per_task])
    longest = max(map(len, by_task), default=0)
    return [of_task[i] for i in range(longest) for of_task in by_task if i < len(of_task)]


def contrast_at(forest: Forest, node: int, better: str, other: str) -> Contrast:
    """The contrast of these actions at a node of the forest. Raises `InvalidInput` where it has no
    such one."""
    if 0 <= node < forest.num_nodes:
        tree = Tree(forest, int(np.searchsorted(forest.root, node, side="right")) - 1)
        for contrast in contrasts_of(tree):
            actions = contrast.better.action, contrast.other.action
            if contrast.node == node and actions == (better, other):
                return contrast
    raise InvalidInput(
        f"the forest has no node {node} at which {better!r} did better than {other!r}"
    )


def _sides(tree: Tree, node: int) -> list[Side]:
    """The actions taken at a node, by their first child."""
    forest = tree.forest
    children: dict[int, list[int]] = {}
    for child in tree.children(node):
        children.setdefault(int(forest.action_id[child]), []).append(child)
    return [_side(forest, forest.actions[action], of) for action, of in children.items()]


def _side(forest: Forest, action: str, children: Sequence[int]) -> Side:
    runs = sorted(run for child in children for run in _runs_through(forest, child))
    first = forest.trajectories[runs[0]]
    returns = forest.total_return[runs]
    return Side(action, runs[0], len(runs), float(returns.mean()), _known(forest, children, first))


def _known(forest: Forest, children: Sequence[int], first: Trajectory) -> float | None:
    """The return of an action with one answer, which ended every run that took it."""
    (child, *others) = children
    if others or forest.num_terminal[child] < forest.num_trajectories[child]:
        return None
    is_cut_short = first.origin.truncated_by is not None  # by what the model can read
    return None if is_cut_short else first.total_return


def _runs_through(forest: Forest, node: int) -> list[int]:
    begin = int(forest.first_trajectory[node])
    end = begin + int(forest.num_trajectories[node])
    return [int(run) for run in forest.trajectory_order[begin:end]]


def _gap_sum(forest: Forest, contrast: Contrast) -> float:
    better, other = contrast.sides
    return better.num_trajectories * other.num_trajectories * contrast.gap


def _variance(forest: Forest, contrast: Contrast) -> float:
    return float(np.var(forest.total_return[_runs_through(forest, contrast.node)]))


def _rng(seed: int, task_id: str) -> np.random.Generator:
    name = f"{seed}/{task_id}".encode("utf-8", "surrogatepass")
    return np.random.default_rng(list(hashlib.sha256(name).digest()))
