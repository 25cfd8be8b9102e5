"""Informative pairs: two actions at one decision divergence of which runs say which is better.

    h ─┬─ a   1.0  0.7  1.0     a over b with 0.97: informative      another run after c may
       ├─ b   0.3  0.0          c over b with 0.76: not (yet)        make "c over b" one too
       └─ c   0.7

They say so where the posterior of one mean return being the greater (`rows.confidence`) is at
least 0.95, by the runs that went on freely (`free_returns`). With one run a side it never is.

To choose where the next run starts: how many pairs would become informative? Its return is believed
to be one of those seen at the divergence: each as often as after this action, and, with the weight
of one run, as at the divergence as a whole. As one run alone may decide nothing where two alike
would, up to three alike are looked ahead, and count by the run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations

from w2stree.forest.tree import Tree
from w2stree.rollouts.free_returns import Taken, taken_actions
from w2stree.rows.confidence import Posterior

CONFIDENCE = 0.95

_PRIOR_RUNS = 1.0
_LOOK_AHEAD = (1, 2, 3)

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
                found[action.start] = _expected(action.returns, open_, seen, sureness, confidence)
    return dict(sorted(found.items()))


def _expected(
    returns: Returns,
    others: Sequence[Returns],
    seen: Counter[float],
    sureness: Sureness,
    confidence: float,
) -> float:
    """The most, over how many runs are looked ahead, of the number by the run."""
    own, weight = Counter(returns), len(returns) + _PRIOR_RUNS
    by_number = dict.fromkeys(_LOOK_AHEAD, 0.0)
    for value, count in seen.items():
        chance = (own[value] + _PRIOR_RUNS * count / seen.total()) / weight
        for number in _LOOK_AHEAD:
            more = tuple(sorted((*returns, *[value] * number)))
            num_decided = sum(sureness(more, other) >= confidence for other in others)
            by_number[number] += chance * num_decided / number
    return max(by_number.values())
