"""Informative pairs: two actions at one decision divergence of which runs say which is better.

    h ─┬─ a   1.0  0.7  1.0     a over b with 0.97: informative      another run after c may
       ├─ b   0.3  0.0          c over b with 0.76: not (yet)        make "c over b" one too
       └─ c   0.7

They say so where the posterior of one mean return being the greater (`rows.confidence`) is at
least 0.95, by the runs that went on freely (`free_returns`). With one run a side it never is.

To choose where the next run starts: how many pairs would become informative? Its return is believed
to be one of those seen at the divergence: each as often as after this action, and, with the prior's
weight, as at the divergence as a whole. As one run alone may decide nothing where some alike would,
up to eight alike are looked ahead, and count by the run.

The posterior's own prior takes actions to matter as much as all that is done later. Where they
matter less, the first runs that differ are mostly luck, and a choice by that prior runs after it:
`estimated_posterior` takes the prior's weight from the runs.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations

import numpy as np

from w2stree.forest.forest import Forest
from w2stree.forest.tree import Tree
from w2stree.rollouts.free_returns import Taken, taken_actions
from w2stree.rows.confidence import Posterior, spread

CONFIDENCE = 0.95

_MOST_PRIOR_RUNS = 30.0
_LOOK_AHEAD = (1, 2, 4, 8)

Returns = tuple[float, ...]
Sureness = Callable[[Returns, Returns], float]


@dataclass(frozen=True, slots=True)
class InformativePair:
    """At `node` the action `better` is believed, with `confidence`, to have the greater mean."""

    node: int
    better: Taken
    other: Taken
    confidence: float


def informative_pairs(
    tree: Tree, posterior: Posterior, *, confidence: float = CONFIDENCE
) -> list[InformativePair]:
    """All of a tree, by node, then by the actions in order of their first appearance.
    O(nodes + divergences · actions² · runs)."""
    found = []
    for node, actions in taken_actions(tree).items():
        for one, two in combinations(actions, 2):
            of_one = posterior.that_greater(one.returns, two.returns)
            if of_one >= confidence:
                found.append(InformativePair(node, one, two, of_one))
            elif 1 - of_one >= confidence:
                found.append(InformativePair(node, two, one, 1 - of_one))
    return found


def expected_pairs(
    tree: Tree, posterior: Posterior, *, confidence: float = CONFIDENCE
) -> dict[int, float]:
    """For each node where a run may start after an action (`Taken.start`), how many pairs of that
    action with its divergence's others are expected to become informative per run started there;
    pairs that are so already count nothing. In node order.
    O(divergences · actions² · distinct returns · runs)."""

    @cache
    def sureness(one: Returns, other: Returns) -> float:
        of_one = posterior.that_greater(one, other)
        return max(of_one, 1 - of_one)

    found = {}
    for actions in taken_actions(tree).values():
        seen = Counter(value for action in actions for value in action.returns)
        for action in actions:
            if action.start is not None:
                open_ = [
                    other.returns
                    for other in actions
                    if other is not action and sureness(action.returns, other.returns) < confidence
                ]
                chance = _chances(action.returns, seen, posterior.prior_runs)
                found[action.start] = _expected(action.returns, open_, chance, sureness, confidence)
    return dict(sorted(found.items()))


def estimated_posterior(forest: Forest) -> Posterior:
    """With the `spread` of the forest's returns and the prior's weight by them, 1 to 30 runs
    (`estimated_prior_runs`)."""
    prior_runs = min(max(1.0, estimated_prior_runs(forest)), _MOST_PRIOR_RUNS)
    return Posterior(sd=spread(forest), prior_runs=prior_runs)


def estimated_prior_runs(forest: Forest) -> float:
    """How many runs the prior of `Posterior` is worth by the runs themselves: the variance of
    returns after one action over that of the actions' means, by the analysis of variance with
    random effects, pooled over divergences (Searle, Casella and McCulloch, "Variance Components",
    1992). Infinite where actions differ no more than luck would have it."""
    within = spread(forest) ** 2
    between = weight = 0.0
    for task_id in forest.task_ids:
        for actions in taken_actions(forest[task_id]).values():
            number = np.array([len(action.returns) for action in actions])
            mean = np.array([np.mean(action.returns) for action in actions])
            common = (number @ mean) / number.sum()
            between += float(number @ (mean - common) ** 2) - (len(actions) - 1) * within
            weight += float(number.sum() - (number @ number) / number.sum())
    return within * weight / between if between > 0 else math.inf


def _chances(returns: Returns, seen: Counter[float], prior_runs: float) -> dict[float, float]:
    """Of each return seen at the divergence, to be the next run's."""
    own, weight = Counter(returns), len(returns) + prior_runs
    return {
        value: (own[value] + prior_runs * count / seen.total()) / weight
        for value, count in seen.items()
    }


def _expected(
    returns: Returns,
    others: Sequence[Returns],
    chances: Mapping[float, float],
    sureness: Sureness,
    confidence: float,
) -> float:
    """The most, over how many runs are looked ahead, of the number by the run."""
    by_number = dict.fromkeys(_LOOK_AHEAD, 0.0)
    for value, chance in chances.items():
        for number in _LOOK_AHEAD:
            more = tuple(sorted((*returns, *[value] * number)))
            num_decided = sum(sureness(more, other) >= confidence for other in others)
            by_number[number] += chance * num_decided / number
    return max(by_number.values())
