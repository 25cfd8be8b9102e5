"""Preference pairs as columns and as objects."""

from __future__ import annotations

import inspect
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from support.strategies import episode

from w2stree import InvalidInput, PreferencePair, PreferencePairs, Trajectory, build_forest

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
    assert pairs[np.int32(2)] == pairs[2] and pairs[np.int64(-4)] == pairs[0]
    for index in (4, -5, np.int64(4)):
        with pytest.raises(IndexError, match=rf"pairs\[{index}\]: there are 4 pairs"):
            pairs[index]
    for wrong in (1.0, "1", None):
        with pytest.raises(TypeError):
            pairs[wrong]  # type: ignore[index]


@pytest.mark.parametrize("part", [slice(2), slice(-1, None), slice(None, None, -2), slice(9, 3)])
def test_a_slice_is_a_selection(pairs: PreferencePairs, part: slice) -> None:
    assert isinstance(pairs[part], PreferencePairs)
    assert list(pairs[part]) == list(pairs)[part]
    assert pairs[part].gap.tolist() == pairs.gap[part].tolist()


def test_a_mask_or_a_list_is_told_of_select(pairs: PreferencePairs) -> None:
    for several in (pairs.gap >= 0.75, np.array([1]), [0, 1], "0", 1.0):
        with pytest.raises(TypeError, match=r"a mask or several indices go to pairs.select"):
            pairs[several]  # type: ignore[call-overload]


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


def test_gaps_are_made_when_asked_for(pairs: PreferencePairs) -> None:
    columns = (pairs.divergence, pairs.chosen, pairs.rejected)
    assert sum(column.nbytes for column in columns) == 12 * len(pairs)
    assert pairs._gap is None
    assert pairs[0].gap == pairs.gap[0] and pairs.gap is pairs.gap
    assert all(not column.flags.writeable for column in (*columns, pairs.gap))


def test_a_gap_may_overflow() -> None:
    huge = np.finfo(np.float64).max
    pairs = build_forest([episode("a", huge), episode("b", -huge)]).pairs(min_gap=huge)
    assert pairs.gap.tolist() == [pairs[0].gap] == [np.inf]


def test_success_is_a_return_at_the_threshold_or_above() -> None:
    forest = build_forest(TRAJECTORIES)
    assert [forest.count_pairs(success_threshold=s) for s in (0.0, 0.25, 0.5, 1.0, 1.1)] == [
        0, 1, 3, 3, 0
    ]  # fmt: skip
    assert len(forest.pairs(0.6, success_threshold=0.5)) == 2


OPTIONS = {
    "min_gap": [-0.1, np.nan, np.inf],
    "success_threshold": [np.nan, np.inf],
    "strategy": ["best"],
    "per_divergence": [0, -1, -(10**30)],
    "max_per_task": [0, -1],
    "seed": [-1, 2**64],
    "chunk_size": [0, -1],
    "num_pairs": [-1, -(10**30)],
}


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, vs in OPTIONS.items() for v in vs])
def test_refuses_bad_options(name: str, value: Any) -> None:
    forest = build_forest(TRAJECTORIES)
    calls = {
        forest.pairs: {"seed": 1, "max_per_task": 1},
        forest.count_pairs: {},
        forest.stream_pairs: {},
        forest.sample_pairs: {"num_pairs": 1, "seed": 1},
    }
    num_asked = 0
    for call, options in calls.items():
        if name in inspect.signature(call).parameters:
            num_asked += 1
            with pytest.raises(InvalidInput, match=rf"{name}=.*; expected"):
                call(**{**options, name: value})
    assert num_asked


@pytest.mark.parametrize("option", ["per_divergence", "max_per_task"])
def test_drawing_needs_a_seed(option: str) -> None:
    with pytest.raises(InvalidInput, match=f"seed=None; {option}=3 draws pairs: give a seed"):
        build_forest(TRAJECTORIES).pairs(**{option: 3})


def test_limits_beyond_all_pairs_keep_them_all() -> None:
    forest = build_forest(TRAJECTORIES)
    expected = list(forest.pairs())
    assert list(forest.pairs(per_divergence=10**30, max_per_task=2**63, seed=2**64 - 1)) == expected
    assert list(forest.sample_pairs(10**30, seed=0)) == expected


def test_tasks_that_look_alike_draw_differently() -> None:
    def look_alike(task_id: str) -> list[Trajectory]:
        return [episode(a, i / 10, task_id) for i, a in enumerate("abcdefgh")]

    forest = build_forest([t for i in range(20) for t in look_alike(f"task-{i}")])
    pairs = forest.pairs(max_per_task=3, seed=5)
    drawn = {tuple(pairs.chosen[i : i + 3] % 8) for i in range(0, len(pairs), 3)}
    assert len(pairs) == 60 and len(drawn) > 10


def test_what_nobody_could_enumerate_can_be_counted_streamed_and_drawn_from() -> None:
    half = 50_000
    good = [episode("a", 1.0)] * half
    bad = [episode("b", 0.0)] * half
    forest = build_forest(good + bad)
    assert forest.count_pairs() == half * half
    with pytest.raises(InvalidInput, match=r"^2500000000 pairs .*stream_pairs.*sample"):
        forest.pairs()
    first = next(forest.stream_pairs(chunk_size=half + 1))
    assert first.chosen.tolist() == [0] * half + [1]
    assert first.rejected.tolist() == [*range(half, 2 * half), half]
    drawn = forest.sample_pairs(1000, seed=3)
    assert (drawn.chosen < half).all() and (drawn.rejected >= half).all()
    assert np.unique(drawn.chosen.astype(np.int64) * 2 * half + drawn.rejected).size == 1000
    assert len(forest.pairs(max_per_task=10, seed=3)) == 10
    assert len(forest.pairs(strategy="best_worst")) == 1


@pytest.mark.parametrize(
    "given", ["0.1", True, None, [0.1], 1j, 10**400, np.bool_(True), math.nan, math.inf]
)
def test_thresholds_are_numbers(given: Any) -> None:
    forest = build_forest([episode("a", 1.0), episode("b", 0.5)])
    for read in (forest.pairs, forest.count_pairs, forest.stream_pairs):
        with pytest.raises(InvalidInput, match=r"min_gap=.*; expected a finite number"):
            read(given)
        if given is None:
            continue
        with pytest.raises(InvalidInput, match=r"success_threshold=.*; expected a finite number"):
            read(success_threshold=given)


@pytest.mark.parametrize("given", ["3", True, 2.0])
def test_limits_are_whole_numbers(given: Any) -> None:
    forest = build_forest([episode("a", 1.0), episode("b", 0.5)])
    for name in ("per_divergence", "max_per_task"):
        with pytest.raises(InvalidInput, match=rf"{name}=.*; expected a whole number"):
            forest.pairs(**{name: given}, seed=1)
    with pytest.raises(InvalidInput, match=r"seed=.*; expected a whole number"):
        forest.pairs(max_per_task=1, seed=given)
    with pytest.raises(InvalidInput, match=r"num_pairs=.*; expected a whole number"):
        forest.sample_pairs(given, seed=1)
    with pytest.raises(InvalidInput, match=r"chunk_size=.*; expected a whole number"):
        forest.stream_pairs(chunk_size=given)


def test_numbers_of_numpy_and_fractions_are_numbers() -> None:
    forest = build_forest([episode("a", 1.0), episode("b", 0.5)])
    for gap in (np.float32(0.5), np.float64(0.5), np.int32(0), Fraction(1, 2), 0):
        assert len(forest.pairs(gap, max_per_task=np.int64(1), seed=np.uint8(1))) == 1
