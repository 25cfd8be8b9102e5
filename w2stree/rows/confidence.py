"""How sure a step row is: the posterior that its chosen action has the greater mean return.

                 returns of all runs that took it there
    h ─┬─ a      1.0  0.8  0.9      mean_a        P(mean_a > mean_b | returns) = 0.93
       └─ b      0.3                mean_b

A row's pairs leave out runs that did equally well; here every run of the forest counts that stood
at the divergence and took one of the two actions. Runs that read alike count each: they are draws
of one policy.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from w2stree.errors import InvalidInput
from w2stree.rows.rows import PreferenceRow
from w2stree.trajectories.returns import at_least
from w2stree.trajectories.trajectory import Trajectory

if TYPE_CHECKING:
    from w2stree.forest.forest import Forest

Returns = Sequence[float]
Floats = NDArray[np.float64]

_LEAST_SD = 1e-3  # of returns: where no two runs ever differed after one action
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)  # on [-1, 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Posterior:
    """What is believed of an action's mean return, given the returns of the runs that took it.

    `normal`: returns are Normal around the action's mean, with one unknown variance for both
    actions, and the conjugate prior (Normal-inverse-gamma; Gelman and others 2013, section 3.3;
    Murphy 2007). A priori each mean is the two actions' common mean, as if seen in `prior_runs`
    runs, and the standard deviation is `sd`, as if of `prior_runs` runs. The difference of the
    means is then Student's t, so one run against one is judged too, with wide tails.

    `beta`: a run succeeds or fails, the chance of success is uniform a priori
    (Beta(`prior_runs`, `prior_runs`), 1 for uniform).

    Raises `InvalidInput` for a `prior_runs` or `sd` that is not above 0.
    """

    model: Literal["normal", "beta"] = "normal"
    prior_runs: float = 1.0
    sd: float = 0.3
    """Of returns of runs that took one action at one divergence (`spread`); `normal` only."""
    success_threshold: float = 1.0
    """`beta` only."""

    def __post_init__(self) -> None:
        for name in ("prior_runs", "sd"):
            if not 0 < getattr(self, name) < math.inf:
                raise InvalidInput(f"{name} is {getattr(self, name)}; give a number above 0")

    def that_greater(self, one: Returns, other: Returns) -> float:
        """P(mean of `one` > mean of `other`), in (0, 1). Both need a run. O(runs)."""
        if self.model == "normal":
            return self._by_normal(np.asarray(one), np.asarray(other))
        counts = [[at_least(r, self.success_threshold) for r in side] for side in (one, other)]
        won = [self.prior_runs + sum(side) for side in counts]
        lost = [self.prior_runs + len(side) - sum(side) for side in counts]
        return _beta_greater(won[0], lost[0], won[1], lost[1])

    def _by_normal(self, one: Floats, other: Floats) -> float:
        k = self.prior_runs
        centre = float(np.concatenate([one, other]).mean())
        squares = k * self.sd**2
        mean, per_run = [], 0.0
        for side in (one, other):
            n, own = len(side), float(side.mean())
            mean.append((k * centre + n * own) / (k + n))
            squares += float(((side - own) ** 2).sum()) + k * n / (k + n) * (own - centre) ** 2
            per_run += 1 / (k + n)
        freedom = k + len(one) + len(other)
        scale = math.sqrt(squares / freedom * per_run)
        return _student_below((mean[0] - mean[1]) / scale, freedom)


def spread(forest: Forest) -> float:
    """The standard deviation of the returns of runs that took one action at one divergence, pooled
    over a forest's decision divergences: how much is up to what is done later.

    0.001 at least; where no action was taken twice, the standard deviation of all returns.
    """
    squares, freedom = 0.0, 0
    for actions in _Taken(forest).returns.values():
        for returns in actions.values():
            squares += len(returns) * float(np.var(returns))
            freedom += len(returns) - 1
    if not freedom:
        return max(_LEAST_SD, float(np.std(forest.total_return)))
    return max(_LEAST_SD, math.sqrt(squares / freedom))


def with_confidence(
    rows: Iterable[PreferenceRow], forest: Forest, posterior: Posterior
) -> list[PreferenceRow]:
    """Step rows of a forest, each with the posterior that its chosen action is the better one, and
    with the runs that say so: `num_chosen`, `num_rejected`, and the mean returns over these.

    Below 0.5 where the posterior prefers the other action: rows of pairs with a `min_gap`, or of
    drawn pairs, may be turned by the runs that those leave out.

    Raises `InvalidInput` for a row that compares more than one turn, or is not of the forest.
    O(runs times depth of the divergences).
    """
    taken = _Taken(forest)
    found = []
    for i, row in enumerate(rows):
        if row.end != row.begin + 1:
            raise InvalidInput(f"rows[{i}] compares more than one turn; confidence is of actions")
        better, worse = (taken.of(row, side) for side in (row.chosen, row.rejected))
        if not better or not worse:
            raise InvalidInput(f"rows[{i}] is not of this forest: no run took its actions there")
        found.append(
            replace(
                row,
                confidence=posterior.that_greater(better, worse),
                chosen_return=math.fsum(better) / len(better),
                rejected_return=math.fsum(worse) / len(worse),
                num_chosen=len(better),
                num_rejected=len(worse),
            )
        )
    return found


class _Taken:
    """The returns of the runs that took each action at each decision divergence.

    Trees whose tasks read alike are one tree, as in `preference_rows`: a state is a prompt and the
    actions and answers since, those of a node's first run.
    """

    def __init__(self, forest: Forest) -> None:
        self.returns: dict[Hashable, dict[str, list[float]]] = {}
        self._state: dict[int, Hashable] = {}
        runs, order = forest.trajectories, forest.trajectory_order
        for node in np.flatnonzero(forest.is_decision_divergence).tolist():
            depth, first = int(forest.depth[node]), int(forest.first_trajectory[node])
            here = sorted(order[first : first + int(forest.num_trajectories[node])].tolist())
            state = self._state[node] = _state(runs[here[0]], depth)
            actions = self.returns.setdefault(state, {})
            for run in (runs[i] for i in here):
                if len(run.steps) > depth:
                    actions.setdefault(run.steps[depth].action, []).append(run.total_return)

    def of(self, row: PreferenceRow, side: Trajectory) -> Returns:
        """Of the runs that did as this side of the row; none where the forest has no such."""
        turns = row.turns(side)
        state = self._state.get(row.divergence)
        return self.returns[state].get(turns[0].action, ()) if state and turns else ()


def _state(run: Trajectory, depth: int) -> Hashable:
    steps = tuple((step.action, step.observation) for step in run.steps[:depth])
    return tuple((m.role, m.content) for m in run.prompt), steps


def _student_below(t: float, freedom: float) -> float:
    """P(T < t) of Student's t. With t = sqrt(freedom) tan(a) its density is that of
    cos(a)^(freedom - 1), which is smooth."""

    def area(end: float) -> float:
        a = end * (_NODES + 1) / 2
        return float(end / 2 * (_WEIGHTS * np.cos(a) ** (freedom - 1)).sum())

    whole = 2 * area(math.pi / 2)
    return 0.5 + area(math.atan(t / math.sqrt(freedom))) / whole


def _beta_greater(won: float, lost: float, other_won: float, other_lost: float) -> float:
    """P(X > Y) of X ~ Beta(won, lost), Y ~ Beta(other_won, other_lost). With x = sin(a)^2 the
    densities are sin(a)^(2 won - 1) cos(a)^(2 lost - 1), without poles from 1/2 on."""

    def density(a: Floats, won: float, lost: float) -> Floats:
        log = (2 * won - 1) * np.log(np.sin(a)) + (2 * lost - 1) * np.log(np.cos(a))
        constant = math.lgamma(won + lost) - math.lgamma(won) - math.lgamma(lost)
        return 2 * np.exp(log + constant)

    outer = math.pi / 4 * (_NODES + 1)
    inner = outer[:, None] * (_NODES + 1) / 2
    below = outer / 2 * (_WEIGHTS * density(inner, other_won, other_lost)).sum(1)
    total = math.pi / 4 * (_WEIGHTS * density(outer, won, lost) * below).sum()
    return float(np.clip(total, 0.0, 1.0))
