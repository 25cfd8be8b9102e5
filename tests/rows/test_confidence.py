"""The posterior that one action is better, against other ways to compute it."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from support.tiny_models import BAD, GOOD, WORSE

from w2stree import InvalidInput, Message, build_forest
from w2stree.evaluation.student import share_within
from w2stree.rows.confidence import (
    Posterior,
    _beta_greater,
    _student_below,
    spread,
    with_confidence,
)
from w2stree.rows.rows import preference_rows

pytestmark = pytest.mark.train


@pytest.mark.parametrize(
    ("t", "freedom", "expected"),
    [  # closed forms of 1, 2 and 3 degrees of freedom
        (1.0, 1, 0.75),
        (-1.0, 1, 0.25),
        (0.7, 2, 0.5 + 0.7 / (2 * math.sqrt(2 + 0.49))),
        (
            2.0,
            3,
            0.5 + (2 / math.sqrt(3) / (1 + 4 / 3) + math.atan(2 / math.sqrt(3))) / math.pi,
        ),
        (1.6, 5000, 0.5 * (1 + math.erf(1.6 / math.sqrt(2)))),
    ],
)
def test_student_s_t_is_that_of_the_books(t: float, freedom: float, expected: float) -> None:
    assert _student_below(t, freedom) == pytest.approx(expected, abs=1e-4 if freedom > 9 else 1e-9)


def test_normal_is_the_posterior_of_the_model_it_names() -> None:
    """Drawn: variance and means from the prior, weighed by the likelihood of the returns."""
    one, other, sd = np.array([1.0, 0.6]), np.array([0.4]), 0.3
    draw = np.random.default_rng(0)
    num_draws = 400_000
    variance = sd**2 / draw.chisquare(1.0, num_draws)
    centre = float(np.concatenate([one, other]).mean())
    mean = centre + np.sqrt(variance) * draw.normal(size=(2, num_draws))
    log = np.zeros(num_draws)
    for side, m in zip((one, other), mean, strict=True):
        for r in side:
            log += -0.5 * np.log(variance) - (r - m) ** 2 / (2 * variance)
    weight = np.exp(log - log.max())
    expected = weight[mean[0] > mean[1]].sum() / weight.sum()
    found = Posterior(sd=sd).that_greater(list(one), list(other))
    assert found == pytest.approx(expected, abs=0.01)


def test_beta_counts_successes() -> None:
    beta = Posterior(model="beta")
    assert beta.that_greater([0.2], [0.9]) == pytest.approx(0.5)  # neither succeeded
    # Beta(2, 1) against Beta(1, 2): the integral of 2x (2x - x²) dx
    assert beta.that_greater([1.0], [0.0]) == pytest.approx(5 / 6)
    assert beta.that_greater([1.0] * 3, [1.0, 0.0]) + beta.that_greater(
        [1.0, 0.0], [1.0] * 3
    ) == pytest.approx(1)
    assert beta.that_greater([1.0] * 300, [0.0] * 200) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("model", ["normal", "beta"])
@pytest.mark.parametrize("number", [1, 13, 300, 5000, 200_000])
def test_a_chance_is_never_certain(model: Any, number: int) -> None:
    posterior = Posterior(model=model)
    won, lost = [1.0] * number, [0.0] * number
    assert 0.8 <= posterior.that_greater(won, lost) < 1
    assert 0 < posterior.that_greater(lost, won) <= 0.2
    assert posterior.that_greater(won, won) == pytest.approx(0.5, abs=1e-12)


@pytest.mark.parametrize("size", [1e-300, 1e-160, 1e160, 1.7e308])
def test_a_chance_does_not_depend_on_the_unit_of_returns(size: float) -> None:
    one, other = [1.0, 0.5, 1.0], [-1.0, 0.25]
    expected = Posterior(sd=0.5).that_greater(one, other)
    large = Posterior(sd=0.5 * size).that_greater(
        [r * size for r in one], [r * size for r in other]
    )
    assert large == pytest.approx(expected, rel=1e-9)
    without_width = Posterior(sd=1e-200)
    assert without_width.that_greater([1.0], [1.0]) == 0.5


@pytest.mark.parametrize("size", [1.0, 1e160, 1.7e308])
def test_spread_is_in_the_unit_of_returns(size: float) -> None:
    runs = [replace(t, total_return=r * size) for t, r in ((GOOD, 1.0), (GOOD, 0.0), (BAD, -1.0))]
    assert spread(build_forest(runs)) == pytest.approx(0.5**0.5 * size)


def test_thirteen_runs_a_side_are_a_row() -> None:
    forest = build_forest([GOOD] * 13 + [BAD] * 13)
    rows = preference_rows(forest.pairs(), "step")
    (found,) = with_confidence(rows, forest, Posterior(sd=spread(forest)))
    assert 0.999 < found.confidence < 1


@pytest.mark.parametrize("freedom", [7, 60, 999, 1001, 1002, 5000, 100_000, 1_000_000])
@pytest.mark.parametrize("t", [-8.0, -1.6, -0.2, 0.0, 0.7, 2.5, 40.0])
def test_student_s_t_holds_for_any_number_of_runs(t: float, freedom: int) -> None:
    expected = 0.5 + math.copysign(share_within(abs(t), freedom) / 2, t)  # by its finite series
    assert _student_below(t, freedom) == pytest.approx(expected, abs=1e-11)


def exactly(won: int, lost: int, other_won: int, other_lost: int) -> float:
    """P(X > Y) of whole counts, as a finite sum of fractions."""

    def beta(a: int, b: int) -> Fraction:
        return Fraction(math.factorial(a - 1) * math.factorial(b - 1), math.factorial(a + b - 1))

    terms = (
        beta(other_won + i, other_lost + lost) / ((lost + i) * beta(1 + i, lost))
        for i in range(won)
    )
    return float(sum(terms) / beta(other_won, other_lost))


@pytest.mark.parametrize(
    "counts",
    [
        (1, 1, 1, 1),
        (2, 1, 1, 2),
        (3, 9, 4, 7),
        (30, 1, 25, 5),
        (250, 251, 225, 276),
        (501, 501, 451, 551),
        (1, 600, 3, 600),
        (600, 1, 1, 1),
        (1, 1, 600, 7),
        (2, 1, 300, 600),
    ],
)
def test_beta_is_the_exact_sum(counts: tuple[int, int, int, int]) -> None:
    assert _beta_greater(*counts) == pytest.approx(exactly(*counts), abs=1e-11)
    swapped = _beta_greater(*counts[2:], *counts[:2])
    assert _beta_greater(*counts) + swapped == pytest.approx(1, abs=1e-11)


@pytest.mark.parametrize("size", [1e4, 1e6, 1e8])
@pytest.mark.parametrize("apart", [-3.0, 0.5, 2.0])
def test_beta_of_many_runs_is_about_normal(size: float, apart: float) -> None:
    won = size + apart * math.sqrt(size)
    expected = 0.5 * (1 + math.erf(apart / math.sqrt(8)))
    assert _beta_greater(won, size, size, size) == pytest.approx(expected, abs=5 / math.sqrt(size))


@pytest.mark.parametrize("prior", [0.5, 0.55, 0.65, 0.9, 2.3])
def test_beta_takes_a_prior_of_any_number_of_runs(prior: float) -> None:
    """Against draws: 0.004 is more than five of their standard errors."""
    draw, num_draws = np.random.default_rng(1), 400_000
    one, other = (prior + 1, prior), (prior, prior + 2)
    x, y = (draw.beta(*side, num_draws) for side in (one, other))
    assert _beta_greater(*one, *other) == pytest.approx((x > y).mean(), abs=0.004)


@pytest.mark.parametrize("model", ["normal", "beta"])
def test_more_runs_are_more_sure(model: str) -> None:
    posterior = Posterior(model=model)  # type: ignore[arg-type]
    chance = [posterior.that_greater([1.0] * n, [0.0] * n) for n in (1, 2, 4, 8)]
    assert 0.5 < chance[0] < chance[1] < chance[2] < chance[3] < 1
    assert posterior.that_greater([0.0], [1.0]) == pytest.approx(1 - chance[0])


def test_all_runs_at_the_divergence_count_also_those_that_tie() -> None:
    """GOOD 1.0 | BAD 0.0 and one like BAD that ended as GOOD did: in no pair, but a run."""
    lucky = replace(BAD, total_return=1.0)
    forest = build_forest([GOOD, GOOD, BAD, lucky])
    (row,) = preference_rows(forest.pairs(), "step")
    assert (row.num_chosen, row.num_rejected) == (1, 1)  # of those in pairs, each object once
    (found,) = with_confidence([row], forest, Posterior(sd=0.3))
    assert (found.num_chosen, found.num_rejected) == (2, 2)
    assert (found.chosen_return, found.rejected_return) == (1.0, 0.5)
    assert found.confidence == Posterior(sd=0.3).that_greater([1.0, 1.0], [0.0, 1.0])
    # deviations ±0.5 of BAD's action alone, 0 of GOOD's: 0.5 over 2 degrees of freedom
    assert spread(forest) == pytest.approx(0.5)
    assert spread(build_forest([GOOD, GOOD, BAD])) == 1e-3
    assert spread(build_forest([GOOD, WORSE])) == pytest.approx(0.45)


def test_tasks_that_read_alike_are_one() -> None:
    twin = [replace(t, task_id="twin") for t in (GOOD, BAD)]
    forest = build_forest([GOOD, BAD, *twin])
    (found,) = with_confidence(preference_rows(forest.pairs(), "step"), forest, Posterior())
    assert (found.num_chosen, found.num_rejected) == (2, 2)


def test_what_is_refused() -> None:
    forest = build_forest([GOOD, BAD])
    with pytest.raises(InvalidInput, match=r"rows\[0\] compares more than one turn"):
        with_confidence(preference_rows(forest.pairs(), "suffix"), forest, Posterior())
    other = [replace(t, prompt=(Message("user", "?"),)) for t in (GOOD, WORSE)]
    (row,) = preference_rows(build_forest(other).pairs(), "step")
    with pytest.raises(InvalidInput, match=r"rows\[0\] is not of this forest"):
        with_confidence([row], forest, Posterior())
    with pytest.raises(InvalidInput, match="prior_runs is 0; give a number above 0"):
        Posterior(prior_runs=0)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"model": "gamma"}, "model is 'gamma'; use one of normal, beta"),
        ({"model": "beta", "prior_runs": 0.01}, "prior_runs is 0.01; give 0.5 to 1e9 with the"),
        ({"model": "beta", "prior_runs": 1e12}, "give 0.5 to 1e9 with the model beta"),
        ({"prior_runs": "1"}, "prior_runs='1'; expected a finite number"),
        ({"sd": math.inf}, "sd=inf; expected a finite number"),
        ({"success_threshold": math.nan}, "success_threshold=nan; expected a finite number"),
    ],
)
def test_settings_that_are_none_are_refused(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        Posterior(**settings)


@pytest.mark.parametrize("model", ["normal", "beta"])
@pytest.mark.parametrize("side", [[], [math.nan], [1.0, math.inf]])
def test_returns_that_are_none_are_refused(model: Any, side: list[float]) -> None:
    with pytest.raises(InvalidInput, match="give at least one return, all finite"):
        Posterior(model=model).that_greater([1.0], side)
