"""Preference pairs as columns and as objects."""

from __future__ import annotations

import numpy as np
import pytest
from strategies import episode

from w2stree import InvalidInput, PreferencePair, PreferencePairs, build_forest

TRAJECTORIES = [
    episode("ab", 1.0, "x"),
    episode("ac", 0.25, "x"),
    episode("d", 0.5, "x"),
    episode("p", 0.0, "y"),
    episode("q", 1.0, "y"),
]


@pytest.fixture
def pairs() -> PreferencePairs:
    return build_forest(TRAJECTORIES).pairs()


def test_indexing_makes_pairs(pairs: PreferencePairs) -> None:
    assert len(pairs) == 4
    assert pairs[2] == PreferencePair(
        divergence=1,
        task_id="x",
        depth=1,
        chosen=TRAJECTORIES[0],
        rejected=TRAJECTORIES[1],
        gap=0.75,
    )
    assert pairs[-1].task_id == "y" and pairs[-1].depth == 0
    assert list(pairs) == [pairs[i] for i in range(4)]
    with pytest.raises(IndexError):
        pairs[4]


def test_select_takes_masks_and_indices(pairs: PreferencePairs) -> None:
    assert list(pairs.select(pairs.gap >= 0.75)) == [pairs[2], pairs[3]]
    assert list(pairs.select([3, 0])) == [pairs[3], pairs[0]]
    assert list(pairs.select(np.array([1]))) == [pairs[1]]
    assert len(pairs.select([])) == len(pairs.select(np.zeros(4, bool))) == 0
    with pytest.raises(IndexError):
        pairs.select([4])
    with pytest.raises(IndexError):
        pairs.select(np.ones(3, bool))


def test_min_gap_is_inclusive() -> None:
    forest = build_forest(TRAJECTORIES)
    assert len(forest.pairs(0.5)) == 3
    assert [forest.count_pairs(g) for g in (0.0, 0.5, 0.75, 1.0, 1.5)] == [4, 3, 2, 1, 0]
    assert repr(forest.pairs(0.75)) == "PreferencePairs(2 pairs at 2 divergences)"


@pytest.mark.parametrize("min_gap", [-0.1, float("nan"), float("inf")])
def test_refuses_bad_gaps(min_gap: float) -> None:
    forest = build_forest(TRAJECTORIES)
    for ask in (forest.pairs, forest.count_pairs):
        with pytest.raises(InvalidInput, match=r"min_gap=.*expected a finite number >= 0"):
            ask(min_gap)


def test_counts_what_nobody_could_enumerate() -> None:
    half = 20_000
    good = [episode("a", 1.0)] * half
    bad = [episode("b", 0.0)] * half
    assert build_forest(good + bad).count_pairs() == half * half
