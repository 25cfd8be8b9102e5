"""Where a task's outcomes flip: the action after which runs fail that elsewhere succeed.

    open fridge ─┬─ take milk ─┬─ put milk in sink    fails   ◄ the run     after it    0 of 1
                 │             └─ put milk on table   succeeds              all others  4 of 5
                 ├─ look ── take milk ── …            succeeds, succeeds
                 └─ go north                          succeeds, fails

A candidate is an action at a decision divergence that a failed run took, with all runs that took it
there (*after*) and all other runs of the task. Were this the one step that decides, each set had a
chance of success of its own: the likelihood of what is seen, with uniform priors on both chances,
is B(s + 1, n - s + 1) for each set of n runs of which s succeeded, multiplied. So a set of few runs
says little, and one success after the action speaks against it. Normalised over the candidates it
is each one's `share`: what the runs say, were exactly one of these steps why.

Steps of a run that no other run took as well have one set of runs, and one likelihood: the first of
them stands for all (`num_alike`). Nothing but playing tells these apart (`rollouts.bisection`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from w2stree.trajectories.returns import tolerance

if TYPE_CHECKING:
    from w2stree.forest.tree import Tree

_TIE = 1e-9  # of log-likelihoods


@dataclass(frozen=True, slots=True)
class Taken:
    """An action at a history, the runs that took it there, and how many succeeded."""

    action: str
    num_runs: int
    num_success: int


@dataclass(frozen=True, slots=True)
class Flip:
    """The action `after.action`, taken at `node` after `depth` steps."""

    task_id: str
    node: int
    depth: int
    after: Taken
    siblings: tuple[Taken, ...]
    """The other actions at the history, by first appearance."""
    num_other: int
    """All other runs of the task, the siblings' among them."""
    num_success_other: int
    run: int
    """The failed run it was looked for in; else the first failed one that took the action."""
    num_alike: int
    """Steps of that run, this one included, with the same runs after them, so that the runs do not
    tell them apart."""
    share: float
    """Of the likelihood of all candidates."""

    @property
    def step(self) -> int:
        """Its number in the run, from 1."""
        return self.depth + 1


def flips_of(
    tree: Tree, success_threshold: float, *, run: int | None = None, without: Sequence[int] = ()
) -> list[Flip]:
    """All candidates, the likeliest first; of equally likely ones the one of fewest steps, then of
    the lowest node. An action whose runs succeed as often as all others, each count plus a half of
    a success and a failure more, is none.

    run: a trajectory of the tree that failed: candidates are its own steps alone.
    without: trajectories left out of all counts, so that the next cause can be looked for.

    None where no run failed or none succeeded. O(nodes + steps of the tree).
    """
    counts = _Counts(tree, success_threshold, without)
    found = [] if counts.is_one_sided else list(_candidates(tree, counts, run))
    if not found:
        return []
    best = max(score for score, _ in found)
    total = sum(math.exp(score - best) for score, _ in found)
    found.sort(key=lambda one: (-round((one[0] - best) / _TIE), one[1].depth, one[1].node))
    return [replace(flip, share=math.exp(score - best) / total) for score, flip in found]


def separate_flips(tree: Tree, success_threshold: float, *, most: int) -> list[Flip]:
    """The likeliest candidate; then the likeliest without the runs that took it; and so on, at most
    `most` of them, as long as failed runs are left. O(most · (nodes + steps))."""
    found: list[Flip] = []
    without: list[int] = []
    while len(found) < most and (flips := flips_of(tree, success_threshold, without=without)):
        found.append(flips[0])
        without += runs_taking(tree, flips[0].node, flips[0].after.action)
    return found


def runs_taking(tree: Tree, node: int, action: str) -> list[int]:
    """The trajectories that took the action at the node, in input order."""
    forest = tree.forest
    children = [c for c in tree.children(node) if forest.actions[forest.action_id[c]] == action]
    return sorted(run for child in children for run in _runs_through(tree, child))


def path_of(tree: Tree, run: int) -> list[int]:
    """The nodes of one of its trajectories, from the root to its end."""
    return tree.forest.path_to(int(tree.forest.end_node[run]))


class _Counts:
    """Of each node, runs through it and how many of them succeeded, without some runs."""

    def __init__(self, tree: Tree, success_threshold: float, without: Sequence[int]) -> None:
        forest, root = tree.forest, tree.root
        self.root = root
        returns = np.asarray(forest.total_return)
        least = success_threshold - tolerance(success_threshold)
        self.is_success = returns >= least
        begin = int(forest.first_trajectory[root])
        order = forest.trajectory_order[begin : begin + int(forest.num_trajectories[root])]
        counted = ~np.isin(order, np.asarray(without, np.int64))
        self._order, self._begin = order, begin
        # Runs through a node stand together in the order: counts are differences of sums.
        self._runs = _sums(counted)
        self._successes = _sums(counted & self.is_success[order])
        self._counted = counted
        self._tree = tree
        self.num_runs, self.num_success = self.of(root)

    @property
    def is_one_sided(self) -> bool:
        return self.num_success in (0, self.num_runs)

    def of(self, node: int) -> tuple[int, int]:
        forest = self._tree.forest
        first = int(forest.first_trajectory[node]) - self._begin
        last = first + int(forest.num_trajectories[node])
        return (
            int(self._runs[last] - self._runs[first]),
            int(self._successes[last] - self._successes[first]),
        )

    def first_failed(self, nodes: Sequence[int]) -> int:
        """The first trajectory, in input order, that went through one of them and failed."""
        forest, failed = self._tree.forest, []
        for node in nodes:
            first = int(forest.first_trajectory[node]) - self._begin
            inside = slice(first, first + int(forest.num_trajectories[node]))
            through = self._order[inside][self._counted[inside]]
            failed += through[~self.is_success[through]].tolist()
        return int(min(failed))


def _candidates(tree: Tree, counts: _Counts, run: int | None) -> Iterator[tuple[float, Flip]]:
    """Each with its log-likelihood."""
    forest, root = tree.forest, tree.root
    if run is None:
        inside = slice(root, root + tree.num_nodes)
        nodes = (root + np.flatnonzero(forest.is_decision_divergence[inside])).tolist()
        on_path = None
    else:
        on_path = path_of(tree, run)
        nodes = [node for node in on_path[:-1] if forest.is_decision_divergence[node]]
    for node in nodes:
        by_action: dict[int, list[int]] = {}
        for child in tree.children(node):
            by_action.setdefault(int(forest.action_id[child]), []).append(child)
        taken = {action: _taken(tree, counts, of) for action, of in by_action.items()}
        depth = int(forest.depth[node])
        own = None if on_path is None else int(forest.action_id[on_path[depth + 1]])
        for action, after in taken.items():
            if (own is not None and action != own) or after.num_success == after.num_runs:
                continue
            num_other = counts.num_runs - after.num_runs
            num_success_other = counts.num_success - after.num_success
            if not _falls(after, num_other, num_success_other):
                continue
            failed = counts.first_failed(by_action[action]) if run is None else run
            yield (
                _log_evidence(after.num_runs, after.num_success)
                + _log_evidence(num_other, num_success_other),
                Flip(
                    tree.task_id,
                    node,
                    depth,
                    after,
                    tuple(t for a, t in taken.items() if a != action and t.num_runs),
                    num_other,
                    num_success_other,
                    failed,
                    _num_alike(tree, counts, failed, depth, after.num_runs),
                    0.0,
                ),
            )


def _taken(tree: Tree, counts: _Counts, children: Sequence[int]) -> Taken:
    found = [counts.of(child) for child in children]
    action = tree.forest.actions[tree.forest.action_id[children[0]]]
    return Taken(action, sum(n for n, _ in found), sum(s for _, s in found))


def _falls(after: Taken, num_other: int, num_success_other: int) -> bool:
    if not num_other:
        return False
    rate = (after.num_success + 0.5) / (after.num_runs + 1)
    return rate < (num_success_other + 0.5) / (num_other + 1) - 1e-12


def _num_alike(tree: Tree, counts: _Counts, run: int, depth: int, num_runs: int) -> int:
    """How many steps of the run, from that depth on, have as many runs after them."""
    path = path_of(tree, run)[depth + 1 :]
    # What the action answered may part its runs: such a node is not alike.
    return max(1, sum(counts.of(node)[0] == num_runs for node in path))


def _log_evidence(num_runs: int, num_success: int) -> float:
    """log B(s + 1, n - s + 1): of this sequence of outcomes, any chance being as likely."""
    return (
        math.lgamma(num_success + 1)
        + math.lgamma(num_runs - num_success + 1)
        - math.lgamma(num_runs + 2)
    )


def _sums(values: NDArray[np.bool_]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(values, dtype=np.int64)])


def _runs_through(tree: Tree, node: int) -> list[int]:
    forest = tree.forest
    begin = int(forest.first_trajectory[node])
    end = begin + int(forest.num_trajectories[node])
    return [int(run) for run in forest.trajectory_order[begin:end]]
