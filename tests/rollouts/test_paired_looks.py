"""Paired looks: exact where signs are fair, as many errors as promised, intervals that cover."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from w2stree.errors import InvalidInput
from w2stree.rollouts.paired_looks import PairedLooks

LOOKS = PairedLooks()
FEWER = PairedLooks((4, 8, 12))  # a sixteenth of the work


def found(looks: PairedLooks, differences: Any) -> str:
    """What the looks come to, taken as they come."""
    for n in looks.looks:
        finding = looks.look(differences[:n]).finding
        if finding != "open":
            return finding
    return "hopeless"


def p_value(differences: Any) -> float:
    """By the definition: the share of signs with a sum as great."""
    sums = [
        sum(s * d for s, d in zip(signs, differences, strict=True))
        for signs in product((1, -1), repeat=len(differences))
    ]
    return float(np.mean([s >= sum(differences) - 1e-9 for s in sums]))


def test_a_look_is_the_sign_flip_test() -> None:
    rng = np.random.default_rng(0)
    looks = PairedLooks((8,), 0.1)
    (tail,) = looks.tails()
    assert tail == 12  # of 256 at each end: 0.094 together
    for _ in range(200):
        differences = rng.choice([-1.0, -0.5, -0.25, 0.0, 0.25, 0.5, 1.0], 8) + rng.choice([0, 0.5])
        differences = np.clip(differences, -1, 1)
        look = looks.look(list(differences))
        expected = (
            "first"
            if p_value(differences) <= tail / 256
            else "second"
            if p_value(-differences) <= tail / 256
            else "hopeless"
        )
        assert look.finding == expected
        assert (look.low > 1e-9) == (expected == "first")
        assert look.low <= look.mean <= look.high


def test_what_a_look_cannot_spend_goes_to_the_next() -> None:
    assert LOOKS.tails() == (0, 6, 1740)
    assert sum(2 * t / 2**n for t, n in zip(LOOKS.tails(), LOOKS.looks, strict=True)) <= 0.1


@pytest.mark.parametrize("scale", ["coins", "normal", "rare"])
def test_alike_sides_are_told_apart_no_more_often_than_alpha(scale: str) -> None:
    """Independent draws of one distribution; looked at without stopping for want of hope, which
    can only make errors rarer."""
    rng = np.random.default_rng(1)
    num_runs, num_errors = 1500, 0
    for _ in range(num_runs):
        one, two = (
            {
                "coins": lambda: rng.binomial(4, 0.6, 12) / 4,
                "normal": lambda: np.clip(rng.normal(0.5, 0.2, 12), 0, 1),
                "rare": lambda: (rng.random(12) < 0.1).astype(float),
            }[scale]()
            for _ in range(2)
        )
        differences = list(one - two)
        looks = [FEWER.look(differences[:n]) for n in FEWER.looks]
        num_errors += any(look.finding in ("first", "second") for look in looks)
    assert num_errors / num_runs <= 0.1 + 2 * np.sqrt(0.09 / num_runs)


def test_the_intervals_of_all_looks_hold_the_difference_together() -> None:
    rng = np.random.default_rng(2)
    num_runs, num_missed = 800, 0
    for _ in range(num_runs):
        differences = 0.3 + rng.uniform(-0.5, 0.5, 12)
        looks = [FEWER.look(list(differences[:n])) for n in FEWER.looks]
        num_missed += any(not look.low <= 0.3 <= look.high for look in looks)
    assert 0.02 < num_missed / num_runs <= 0.1 + 2 * np.sqrt(0.09 / num_runs)


def test_false_alarms_are_counted_exactly() -> None:
    """Against every way to set the signs, looked at one by one."""
    looks = PairedLooks((4, 8), 0.3)
    for differences in ([0.5, 0, 0.25, 0.5, 1, 0.25, 0, 0.5], [0.1, 0.2, 0.3, 0.4], [0.0] * 8):
        flipped = [
            [s * d for s, d in zip(signs, differences, strict=True)]
            for signs in product((1, -1), repeat=len(differences))
        ]
        alarms = [
            any(
                looks.look(f[:n]).finding in ("first", "second") for n in looks.looks if n <= len(f)
            )
            for f in flipped
        ]
        assert looks.false_alarms(differences) == np.mean(alarms) <= 0.3


def test_small_steady_gains_are_found_and_hopeless_ones_left() -> None:
    assert found(LOOKS, [0.25, 0.0, 0.25, 0.25, 0.25, 0.25, 0.25, 0.25] * 2) == "first"
    assert found(LOOKS, [-0.1] * 16) == "second"
    assert LOOKS.look([0.0] * 4).finding == "hopeless"
    assert LOOKS.look([0.5, -0.5, 0.25, 0.0]).finding == "hopeless"
    assert LOOKS.look([0.5, 0.5, 0.5, 0.5]).finding == "open"
    assert (LOOKS.look([0.5] * 4).low, LOOKS.look([0.5] * 4).high) == (-1.0, 1.0)


def test_a_rare_great_loss_among_small_gains_is_not_seen() -> None:
    """What the page says of differences that are not symmetric: their mean is 0 here."""
    rng = np.random.default_rng(3)
    gains = [list(np.where(rng.random(16) < 1 / 11, -1.0, 0.1)) for _ in range(200)]
    assert np.mean([found(LOOKS, g) == "first" for g in gains]) > 0.3


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"looks": ()}, "ascending"),
        ({"looks": (8, 4)}, "ascending"),
        ({"looks": (0, 4)}, "ascending"),
        ({"looks": (4.0, 8)}, "ascending"),
        ({"looks": (8, 40)}, "at most 20"),
        ({"alpha": 0.0}, "between 0 and 1"),
        ({"looks": (4,)}, "nothing is significant"),
    ],
)
def test_settings_that_can_tell_nothing_are_refused(settings: Any, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        PairedLooks(**settings)


def test_a_look_is_at_one_of_the_numbers() -> None:
    with pytest.raises(InvalidInput, match=r"5 differences; looks are at \[4, 8, 16\]"):
        LOOKS.look([0.0] * 5)


@pytest.mark.parametrize("one", [1.1, -50.0, float("nan")])
def test_differences_that_no_returns_have_are_refused(one: float) -> None:
    """The interval would end at 1 where they do not."""
    with pytest.raises(InvalidInput, match=r"expected each in \[-1, 1\]"):
        LOOKS.look([0.0, 0.5, 0.0, one])
