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
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from w2stree.errors import InvalidInput
from w2stree.forest.arguments import finite
from w2stree.rows.rows import PreferenceRow
from w2stree.trajectories.returns import at_least, mean_return
from w2stree.trajectories.trajectory import Trajectory

if TYPE_CHECKING:
    from w2stree.forest.forest import Forest

Returns = Sequence[float]
Floats = NDArray[np.float64]
Model = Literal["normal", "beta"]

_LEAST_SD = 1e-3  # of returns: where no two runs ever differed after one action
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)  # on [-1, 1]
_WIDE = 1000.0  # a power of the cosine that these nodes still meet to the last digits
_NEGLIGIBLE = 80.0  # power times squared distance from the peak: e^-40 of it
_LEAST_CHANCE = 2.0**-53  # 1 less this is the last number below 1
_ABOVE_MINUS_1 = -1 + 2.0**-52
_LEAST_BETA, _MOST_BETA = 0.5, 1e9  # runs: below are poles, above angles are told apart no more


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

    Raises `InvalidInput` for an unknown model, for a `prior_runs` or `sd` that is no number above
    0, with `beta` for a `prior_runs` outside 0.5 to 1e9, and for a `success_threshold` that is no
    finite number.
    """

    model: Model = "normal"
    prior_runs: float = 1.0
    sd: float = 0.3
    """Of returns of runs that took one action at one divergence (`spread`); `normal` only."""
    success_threshold: float = 1.0
    """`beta` only."""

    def __post_init__(self) -> None:
        if self.model not in get_args(Model):
            raise InvalidInput(f"model is {self.model!r}; use one of {', '.join(get_args(Model))}")
        for name in ("prior_runs", "sd"):
            if not finite(name, getattr(self, name)) > 0:
                raise InvalidInput(f"{name} is {getattr(self, name)}; give a number above 0")
        finite("success_threshold", self.success_threshold)
        if self.model == "beta" and not _LEAST_BETA <= self.prior_runs <= _MOST_BETA:
            raise InvalidInput(
                f"prior_runs is {self.prior_runs}; give 0.5 to 1e9 with the model beta"
            )

    def that_greater(self, one: Returns, other: Returns) -> float:
        """P(mean of `one` > mean of `other`), in (0, 1). O(runs).

        Raises `InvalidInput` for a side without a run, and for a return that is not finite."""
        for name, side in (("one", one), ("other", other)):
            if not len(side) or not np.isfinite(side).all():
                raise InvalidInput(f"{name} is {side!r}; give at least one return, all finite")
        if self.model == "normal":
            return self._by_normal(np.asarray(one), np.asarray(other))
        counts = [[at_least(r, self.success_threshold) for r in side] for side in (one, other)]
        won = [self.prior_runs + sum(side) for side in counts]
        lost = [self.prior_runs + len(side) - sum(side) for side in counts]
        return _beta_greater(won[0], lost[0], won[1], lost[1])

    def _by_normal(self, one: Floats, other: Floats) -> float:
        unit = _unit(np.concatenate([one, other, [self.sd]]))
        one, other = np.ldexp(one, -unit), np.ldexp(other, -unit)
        k, sd = self.prior_runs, math.ldexp(self.sd, -unit)
        centre = float(np.concatenate([one, other]).mean())
        squares = k * sd**2
        mean, per_run = [], 0.0
        for side in (one, other):
            n, own = len(side), float(side.mean())
            mean.append((k * centre + n * own) / (k + n))
            squares += float(((side - own) ** 2).sum()) + k * n / (k + n) * (own - centre) ** 2
            per_run += 1 / (k + n)
        freedom = k + len(one) + len(other)
        scale = math.sqrt(squares / freedom * per_run)
        apart = mean[0] - mean[1]
        return _student_below(apart / scale if apart else 0.0, freedom)


def spread(forest: Forest) -> float:
    """The standard deviation of the returns of runs that took one action at one divergence, pooled
    over a forest's decision divergences: how much is up to what is done later.

    0.001 at least; where no action was taken twice, the standard deviation of all returns.
    """
    unit = _unit(forest.total_return)
    squares, freedom = 0.0, 0
    for actions in _Taken(forest).returns.values():
        for returns in actions.values():
            squares += len(returns) * float(np.var(np.ldexp(returns, -unit)))
            freedom += len(returns) - 1
    if not freedom:
        found = float(np.std(np.ldexp(forest.total_return, -unit)))
    else:
        found = math.sqrt(squares / freedom)
    return max(_LEAST_SD, math.ldexp(found, unit))


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
                chosen_return=mean_return(better),
                rejected_return=mean_return(worse),
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


def _unit(values: Floats) -> int:
    """The power of two above all values: in it no digit changes, and squares do not overflow."""
    return math.frexp(float(np.abs(values).max()))[1]


def _student_below(t: float, freedom: float) -> float:
    """P(T < t) of Student's t. With t = sqrt(freedom) tan(a) its density is that of
    cos(a)^(freedom - 1), which is smooth, and of many runs a narrow peak at 0."""
    power = freedom - 1
    is_wide = power <= _WIDE
    reach = math.pi / 2 if is_wide else math.sqrt(_NEGLIGIBLE / power)

    def area(end: float) -> float:
        a = end * (_NODES + 1) / 2
        # A rounded cosine drifts at high powers.
        density = np.cos(a) ** power if is_wide else np.exp(power / 2 * np.log1p(-(np.sin(a) ** 2)))
        return float(end / 2 * (_WEIGHTS * density).sum())

    end = math.atan(t / math.sqrt(freedom))
    return _inside(0.5 + area(max(-reach, min(reach, end))) / (2 * area(reach)))


def _beta_greater(won: float, lost: float, other_won: float, other_lost: float) -> float:
    """P(X > Y) of X ~ Beta(won, lost), Y ~ Beta(other_won, other_lost)."""
    one, other = _Angle(won, lost), _Angle(other_won, other_lost)
    if one.power < other.power:  # the nodes lie on the narrower, where the other's area is smooth
        return _inside(1 - one.share_below(other))
    return _inside(other.share_below(one))


class _Angle:
    """Of X ~ Beta(won, lost) the angle a with X = sin(a)^2. Its density is that of sin(a)^s
    cos(a)^c, s = 2 won - 1, c = 2 lost - 1: without poles from 1/2 on, and never above
    exp(-(s + c) d^2 / 2) of its peak at a distance d from it."""

    def __init__(self, won: float, lost: float) -> None:
        self.sine, self.cosine = 2 * won - 1, 2 * lost - 1
        self.power = self.sine + self.cosine
        self.mode = math.atan2(math.sqrt(self.sine), math.sqrt(self.cosine))
        reach = math.sqrt(_NEGLIGIBLE / self.power)
        self.begin = max(0.0, self.mode - reach)
        self.end = min(math.pi / 2, self.mode + reach)

    def density(self, a: Floats) -> Floats:
        """As a share of the peak's, so that large powers neither overflow nor cancel."""
        middle, half = (a + self.mode) / 2, 2 * np.sin((a - self.mode) / 2)
        log = np.zeros_like(a)
        if self.sine:
            log += self.sine * _log1p(half * np.cos(middle) / math.sin(self.mode))
        if self.cosine:
            log += self.cosine * _log1p(-half * np.sin(middle) / math.cos(self.mode))
        found: Floats = np.exp(log)
        return found

    def area_to(self, end: Floats) -> Floats:
        """Of the density up to each end."""
        width = np.clip(end, self.begin, self.end) - self.begin
        nodes = self.begin + width[..., None] * _FROM_0_TO_1
        found: Floats = width * (self.density(nodes) * _EASED_WEIGHTS).sum(-1)
        return found

    def share_below(self, other: _Angle) -> float:
        """P(this angle < the other)."""
        nodes = other.begin + (other.end - other.begin) * _FROM_0_TO_1
        density = _EASED_WEIGHTS * other.density(nodes)
        whole = self.area_to(np.asarray(self.end))
        return float((density * self.area_to(nodes)).sum() / (density.sum() * whole))


def _log1p(ratio: Floats) -> Floats:
    """Of a density's base over that of its peak, less 1: above -1, but for rounding."""
    found: Floats = np.log1p(np.maximum(ratio, _ABOVE_MINUS_1))
    return found


def _inside(chance: float) -> float:
    """In (0, 1): as near to an end as 1 less than a chance still tells."""
    return min(max(chance, _LEAST_CHANCE), 1 - _LEAST_CHANCE)


def _eased(num_nodes: int) -> tuple[Floats, Floats]:
    """Nodes and weights on [0, 1] that leave both ends as v^3: powers there that are no whole
    numbers, of sin and cos, are smooth enough then for Gauss and Legendre."""
    nodes, weights = np.polynomial.legendre.leggauss(num_nodes)
    v = (nodes + 1) / 2
    return v**3 * (10 - 15 * v + 6 * v**2), weights / 2 * 30 * (v * (1 - v)) ** 2


_FROM_0_TO_1, _EASED_WEIGHTS = _eased(128)
