"""The posterior that one action is better, against other ways to compute it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

from support.tiny_models import BAD, GOOD, WORSE

from w2stree import InvalidInput, Message, build_forest
from w2stree.rows.confidence import Posterior, _student_below, spread, with_confidence
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
