"""Branching exploration: restart from a node of the tree where outcomes differ, not from the root.

    u ─┬─ open door ─┬─ take key ─ …   0.0        new episodes begin here: their first steps are
       │             └─ look ─ …       1.0   <──  the path's (`EpisodePlan.prefix`), the policy
       └─ wait ─ …                     0.0        samples from there on

Returning to a promising state before exploring on is Go-Explore's idea (Ecoffet et al., "First
return, then explore", Nature 2021); choosing where returns vary most is sampling for
learnability, p(1 - p) for returns of 0 and 1 (Rutherford et al., "No Regrets", NeurIPS 2024).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from itertools import cycle, islice
from typing import Literal, get_args

import numpy as np

from w2stree.errors import IdenticalTrajectories, InvalidInput
from w2stree.forest.build import build_forest
from w2stree.forest.forest import Forest
from w2stree.forest.merging import Merging, check_merging
from w2stree.forest.tree import Tree
from w2stree.policies.protocol import Sampling
from w2stree.rollouts.informative_pairs import estimated_posterior, expected_pairs
from w2stree.rollouts.node_information import node_information
from w2stree.rollouts.rollout import EpisodePlan
from w2stree.rows.confidence import Posterior
from w2stree.trajectories.journal import key_of
from w2stree.trajectories.returns import tolerance
from w2stree.trajectories.trajectory import Step, Trajectory

Criterion = Literal["return_variance", "uncertainty", "information", "informative_pairs"]
"""`return_variance`: the variance of the returns of the n trajectories through a node.
`uncertainty`: the standard error of their mean, sqrt(variance / (n - 1)), which is high for
spread returns and few visits (the width of UCB-V's interval, Audibert et al. 2009).
`information`: of an action at a decision divergence, by how much one more run through it is
expected to reduce the variance of the difference of action values there (`node_information`).
`informative_pairs`: how many pairs of it with other actions there are expected to be decided by
one more run through it (`expected_pairs`)."""


def plan_branches(
    trajectories: Sequence[Trajectory],
    samplings: Sequence[Sampling],
    *,
    episodes_per_task: int,
    criterion: Criterion,
    seed: int,
    merging: Merging | None = None,
    num_before: int = 0,
) -> list[EpisodePlan]:
    """Plans that start at chosen nodes of the trajectories' forest, `episodes_per_task` a task.

    Nodes are taken best first and again from the best once all were taken; samplings with a
    temperature take turns (greedy decoding would play what it played before). Sample indices
    go on after `len(samplings)`, and after the `num_before` episodes of each task that were
    branched before: those that have been played may be among `trajectories`, to choose by them
    too. A task whose returns are all equal gets none. Observations count as one by `merging` (None:
    equal ones). The result does not depend on the order of `trajectories`. Raises `InvalidInput`
    where no sampling has a temperature or a trajectory has no `origin.sample_index`, and for a
    `merging` that is no `Merging`.
    """
    check_merging(merging)
    sampled = [sampling for sampling in samplings if sampling.temperature > 0]
    if not sampled:
        raise InvalidInput("branching needs a sampling configuration with a temperature above 0")
    finished = [t for t in trajectories if t.status != "error"]
    if not finished:
        return []
    forest = _forest(finished, merging)
    posterior = _posterior(finished, merging) if criterion == "informative_pairs" else None
    first = num_before % len(sampled)
    in_turn = [*sampled[first:], *sampled[:first]]
    plans = []
    for task_id in forest.task_ids:
        tree = forest[task_id]
        nodes = choose_nodes(tree, criterion, posterior=posterior)
        turns = zip(cycle(nodes), cycle(in_turn), strict=False)
        plans += [
            EpisodePlan(
                task_id,
                index,
                sampling,
                seed,
                prefix=steps_to(tree, node),
                prefix_tokenizer=_first_through(tree, node).origin.tokenizer,
            )
            for index, (node, sampling) in enumerate(
                islice(turns, episodes_per_task), start=len(samplings) + num_before
            )
        ]
    return plans


def choose_nodes(
    tree: Tree, criterion: Criterion, *, posterior: Posterior | None = None
) -> list[int]:
    """Nodes worth restarting from, best first; ties go to the lowest id, so to the shallower one
    of a path.

    Candidates are the nodes with several children, the root aside, whose trajectories' returns
    differ: earlier nodes of an unbranched path lead to the same place. By `information` and
    `informative_pairs` they are the nodes that an action led to where trajectories took others too,
    and that did not end the episode; where no pair is expected to be decided, `informative_pairs`
    chooses as `information` does. Without any the root is taken, if returns differ there: a restart
    from it is one more episode. `posterior` is that of `informative_pairs` (None: the tree's
    forest's, `estimated_posterior`). Raises `InvalidInput` for another `criterion`. O(nodes), and
    what `expected_pairs` takes.
    """
    if criterion not in get_args(Criterion):
        raise InvalidInput(f"criterion is {criterion!r}; use {', '.join(get_args(Criterion))}")
    forest, root = tree.forest, tree.root
    if criterion == "informative_pairs":
        expected = expected_pairs(tree, posterior or estimated_posterior(forest))
        if chosen := _best_first(expected):
            return chosen
    if criterion in ("information", "informative_pairs"):
        chosen = _best_first(node_information(tree))
        return chosen or ([root] if _returns_differ(forest, root) else [])
    inner = root + 1 + np.flatnonzero(forest.num_children[root + 1 : root + tree.num_nodes] >= 2)
    candidates = [int(node) for node in inner if _returns_differ(forest, int(node))]
    if not candidates and _returns_differ(forest, root):
        candidates = [root]
    return sorted(candidates, key=lambda node: (-_spread(forest, node, criterion), node))


def _best_first(worth: Mapping[int, float]) -> list[int]:
    return sorted((node for node in worth if worth[node] > 0), key=lambda node: -worth[node])


def _returns_differ(forest: Forest, node: int) -> bool:
    returns = forest.total_return[_trajectory_ids(forest, node)]
    if not returns.size:  # a tree without trajectories
        return False
    least = float(returns.min())
    return bool(returns.max() > least + tolerance(least))


def steps_to(tree: Tree, node: int) -> tuple[Step, ...]:
    """The steps to a node as the first trajectory through it made them; () for the root."""
    return _first_through(tree, node).steps[: int(tree.forest.depth[node])]


def _first_through(tree: Tree, node: int) -> Trajectory:
    return tree.forest.trajectories[min(_trajectory_ids(tree.forest, node))]


def _spread(forest: Forest, node: int, criterion: Criterion) -> float:
    returns = forest.total_return[_trajectory_ids(forest, node)]
    variance = float(np.var(returns))
    if criterion == "return_variance":
        return variance
    return float(np.sqrt(variance / (len(returns) - 1))) if len(returns) > 1 else 0.0


def _trajectory_ids(forest: Forest, node: int) -> list[int]:
    begin = int(forest.first_trajectory[node])
    return sorted(forest.trajectory_order[begin : begin + int(forest.num_trajectories[node])])


def _posterior(trajectories: Sequence[Trajectory], merging: Merging | None) -> Posterior:
    """By the runs from the start: those that were branched would count where they were led."""
    whole = [t for t in trajectories if not t.origin.prefix_length]
    return estimated_posterior(_forest(whole, merging)) if whole else Posterior()


def _forest(trajectories: Sequence[Trajectory], merging: Merging | None) -> Forest:
    ordered = sorted(trajectories, key=key_of)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", IdenticalTrajectories)  # told by the exploration itself
        return build_forest(ordered, merging=merging)
