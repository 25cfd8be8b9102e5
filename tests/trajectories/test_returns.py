"""Returns: what counts as equal, ranges, thresholds in them."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from w2stree.errors import InvalidInput
from w2stree.trajectories.returns import (
    at_least,
    check_returns,
    checked_range,
    is_same,
    threshold_in,
)


def test_decimals_meet_their_thresholds() -> None:
    assert at_least(sum([0.1] * 10), 1.0)  # 0.9999999999999999
    assert at_least(0.1 + 0.7, 0.8)  # 0.7999999999999999
    assert at_least(1.0, 1.0)
    assert at_least(99.99999999999999, 100.0)
    assert not at_least(0.999999, 1.0)
    assert not at_least(math.nan, 0.0)
    assert not at_least(-1e-6, 0.0)


def test_two_are_the_same_but_for_rounding() -> None:
    assert is_same(sum([0.1] * 10), 1.0)
    assert is_same(1.0, sum([0.1] * 10))
    assert not is_same(1.0, 1.0 + 2e-9)
    assert is_same(sum([1_000_000.1] * 1000), 1_000_000_100.0), "off by more than 1e-9"
    assert abs(sum([1_000_000.1] * 1000) - 1_000_000_100.0) > 1e-9
    assert not is_same(math.nan, math.nan)


def test_a_sum_of_many_rewards_meets_its_threshold() -> None:
    for size in (10, 100, 1000, 10_000):
        total = 0.0
        for _ in range(size):
            total += 1 / size
        assert at_least(total, 1.0)
        assert at_least(1.0, total)


def test_large_scores_are_told_apart() -> None:
    assert not at_least(1e9, 1e9 + 1)
    assert at_least(1e15, 1e15 + 0.125)


def test_a_range_is_two_finite_numbers_in_order() -> None:
    assert checked_range(None) == (0.0, 1.0)
    assert checked_range((0, 100)) == (0.0, 100.0)
    bad: Any
    for bad in ((1, 0), (0, 0), (0, math.inf), (math.nan, 1), (0,), "ab", 3, (-1e308, 1e308)):
        with pytest.raises(InvalidInput, match="expected two finite numbers, the lesser first"):
            checked_range(bad)


@pytest.mark.parametrize(
    "bad",
    [
        *("01", b"01", ("0", "1"), (False, True), (0, True), np.array([False, True])),
        *({0, 1}, {0: 1, 1: 2}, iter((0, 1)), (n for n in (0, 1)), np.ones((2, 2))),
        *((10**400, 10**401), (0, 10**400), (-(10**400), 0), (0, 1j), (0, None), (0, 1, 2), ()),
    ],
)
def test_what_is_no_pair_of_numbers_is_no_range(bad: Any) -> None:
    with pytest.raises(
        InvalidInput, match=r"return_range=[^;]*; expected two finite numbers, the les"
    ):
        checked_range(bad)


@pytest.mark.parametrize(
    "good", [[0, 60], np.array([0, 60]), (np.float32(0), np.int8(60)), (0, Fraction(60))]
)
def test_numbers_of_any_kind_are_a_range(good: Any) -> None:
    assert checked_range(good) == (0.0, 60.0)
    assert {type(end) for end in checked_range(good)} == {float}


def test_returns_outside_are_named_and_rounding_is_inside() -> None:
    check_returns([("a", 0.0), ("b", 1.0000000000000002)], None)
    check_returns([("a", 60.0)], (0, 100))
    with pytest.raises(
        InvalidInput, match=r"b: total_return 60 is outside \[0, 1\]; state the range"
    ):
        check_returns([("a", 1.0), ("b", 60.0)], None)
    with pytest.raises(InvalidInput, match=r"a: total_return -1 is outside \[0, 100\]; state"):
        check_returns([("a", -1.0)], (0, 100))


def test_a_threshold_is_a_share_of_the_range() -> None:
    assert threshold_in(None, 0.7) == 0.7
    assert threshold_in((0, 100), 1.0) == 100.0
    assert threshold_in((-1, 1), 0.5) == 0.0
