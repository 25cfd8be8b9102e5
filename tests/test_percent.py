"""Percents: nothing that is not all reads as all, nothing that is not none as none."""

from __future__ import annotations

import pytest

from w2stree.percent import percent


@pytest.mark.parametrize(
    ("share", "decimals", "shown"),
    [
        (599 / 600, 1, "99.8%"),
        (1 / 600, 1, "0.2%"),
        (1999 / 2000, 1, ">99.9%"),
        (1 / 2001, 1, "<0.1%"),
        (599 / 600, 0, ">99%"),
        (1 / 600, 0, "<1%"),
        (1.0, 0, "100%"),
        (0.0, 0, "0%"),
        (1.0, 1, "100.0%"),
        (0.0, 1, "0.0%"),
        (sum([0.1] * 10), 0, "100%"),  # 0.9999999999999999
        (1 - 0.9 - 0.1, 0, "0%"),  # -2.8e-17
        (-0.125, 1, "-12.5%"),  # of what was there to gain, a method may lose
        (1.25, 0, "125%"),
    ],
)
def test_a_share(share: float, decimals: int, shown: str) -> None:
    assert percent(share, decimals) == shown


def test_only_all_of_many_is_all_and_only_none_is_none() -> None:
    for decimals in range(4):
        all_of_them, none = percent(1.0, decimals), percent(0.0, decimals)
        shown = [percent(i / 20_000, decimals) for i in range(1, 20_000)]
        assert all_of_them not in shown
        assert none not in shown
