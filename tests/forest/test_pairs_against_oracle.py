"""Pairs equal the oracle exactly: order, counts, kinds, strategies, chunks and samples."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import oracle
from support.comparisons import expected_rows, is_subsequence, rows
from support.quiet import QUIET
from support.strategies import PAIR_RULES, RETURNS, episode, trajectory_lists

from w2stree import InvalidInput, Trajectory, build_forest

# Next to the usual returns: gaps that are rounding, and that are just more or less.
NOISE = [*RETURNS, 1e-20, 5e-324, 1.0 - 2**-53, 0.9e-9, 1e-9, 1.1e-9, -0.9e-9, -1.1e-9]
RETURN_LISTS = st.sampled_from([RETURNS, NOISE, [0.0, 1.0], [0.0, -0.0, 1.0]])
# Gaps that overflow, that vanish beside the greater return, and the smallest one there is.
EXTREMES = [*RETURNS, 1.7e308, -1.7e308, 1e15, 1e15 + 0.125, -1e15, 1e12 + 1, 1e12, 5e-324]
TRAJECTORIES = RETURN_LISTS.flatmap(trajectory_lists)


pytestmark = QUIET


@given(TRAJECTORIES, PAIR_RULES)
@settings(max_examples=500)
def test_all_pairs_and_their_count(trajectories: list[Trajectory], rule: dict) -> None:
    forest, expected = build_forest(trajectories), expected_rows(trajectories, rule)
    pairs = forest.pairs(**rule)
    assert rows(pairs) == expected
    assert [(p.divergence, p.gap) for p in pairs] == [(e[0], e[3]) for e in expected]
    assert forest.count_pairs(**rule) == len(expected)


@given(trajectory_lists(EXTREMES), st.sampled_from([0.0, 0.1, 0.125, 1.0, 1e15, 1e308]))
@settings(max_examples=200)
def test_any_finite_return(trajectories: list[Trajectory], min_gap: float) -> None:
    forest = build_forest(trajectories)
    expected = expected_rows(trajectories, {"min_gap": min_gap})
    assert rows(forest.pairs(min_gap)) == expected
    assert forest.count_pairs(min_gap) == len(expected)
    best = forest.pairs(min_gap, strategy="best_worst")
    assert rows(best) == oracle.best_worst(expected)


@given(
    st.integers(-1000, 1000), st.integers(0, 1000), st.integers(-3, 3), st.sampled_from([1, 2, 3])
)
@settings(max_examples=300)
def test_bounds_hold_for_decimals(worse: int, gap: int, more: int, digits: int) -> None:
    """Returns of a few digits as they are written: 0.3 - 0.2 >= 0.1."""
    unit = 10**digits
    returns = (worse + gap + more) / unit, worse / unit
    forest = build_forest([episode(a, r) for a, r in zip("ab", returns, strict=True)])
    is_apart = gap + more > 0 if gap == 0 else more >= 0
    if gap + more >= 0:
        assert forest.count_pairs(gap / unit) == is_apart
    wide = {"return_range": (-4000.0, 4000.0)}
    threshold = (worse + gap + 4000 * unit) / (8000 * unit)
    if more >= 0 and gap > 0:
        assert forest.count_pairs(success_threshold=threshold, **wide) == 1


@pytest.mark.parametrize(
    ("better", "worse", "min_gap"),
    [(0.3, 0.2, 0.1), (0.83, 0.73, 0.1), (1.0, 0.9, 0.1), (100.3, 100.2, 0.1), (-0.2, -0.3, 0.1)],
)
def test_a_gap_of_exactly_min_gap_is_enough(better: float, worse: float, min_gap: float) -> None:
    forest = build_forest([episode("a", better), episode("b", worse)])
    assert better - worse < min_gap or better - worse == pytest.approx(min_gap)
    assert forest.count_pairs(min_gap) == len(forest.pairs(min_gap)) == 1
    assert forest.count_pairs(min_gap + 1e-6) == 0


def test_rounding_makes_no_pair() -> None:
    forest = build_forest([episode("a", 0.1 + 0.2), episode("b", 0.3)])
    assert forest.count_pairs() == forest.summary().num_pairs == len(forest.pairs()) == 0


def test_ten_rewards_of_a_tenth_are_a_success() -> None:
    forest = build_forest([episode("a", sum([0.1] * 10)), episode("b", 0.9)])
    assert forest.count_pairs(success_threshold=1.0) == 1


def test_a_threshold_needs_the_range_of_returns() -> None:
    forest = build_forest([episode("a", 100.0), episode("b", 60.0), episode("c", 10.0)])
    assert forest.count_pairs() == 3
    for ask in (forest.pairs, forest.count_pairs, forest.stream_pairs):
        with pytest.raises(
            InvalidInput, match=r"\[0\] of task 'task': total_return 100 is outside"
        ):
            ask(success_threshold=1.0)
    assert forest.count_pairs(success_threshold=1.0, return_range=(0, 100)) == 2
    assert forest.count_pairs(50.0, success_threshold=0.5, return_range=(0, 100)) == 2
    with pytest.raises(InvalidInput, match=r"total_return 60 is outside \[0, 50\]"):
        build_forest([episode("b", 60.0)]).pairs(return_range=(0, 50))


@given(TRAJECTORIES, PAIR_RULES)
@settings(max_examples=300)
def test_best_against_worst(trajectories: list[Trajectory], rule: dict) -> None:
    pairs = build_forest(trajectories).pairs(**rule, strategy="best_worst")
    assert rows(pairs) == oracle.best_worst(expected_rows(trajectories, rule))


@given(TRAJECTORIES, PAIR_RULES, st.sampled_from([1, 2, 3, 7, 65536]))
@settings(max_examples=200)
def test_chunks_add_up(trajectories: list[Trajectory], rule: dict, chunk_size: int) -> None:
    chunks = list(build_forest(trajectories).stream_pairs(**rule, chunk_size=chunk_size))
    expected = expected_rows(trajectories, rule)
    assert [row for chunk in chunks for row in rows(chunk)] == expected
    assert all(len(chunk) == chunk_size for chunk in chunks[:-1])
    assert all(0 < len(chunk) <= chunk_size for chunk in chunks)


@given(TRAJECTORIES, PAIR_RULES, st.integers(0, 60), st.integers(0, 2**64 - 1))
@settings(max_examples=200)
def test_samples_are_distinct_pairs_in_order(
    trajectories: list[Trajectory], rule: dict, num_pairs: int, seed: int
) -> None:
    forest, expected = build_forest(trajectories), expected_rows(trajectories, rule)
    sample = rows(forest.sample_pairs(num_pairs, seed=seed, **rule))
    assert len(sample) == min(num_pairs, len(expected))
    assert is_subsequence(sample, expected)
    assert sample == rows(forest.sample_pairs(num_pairs, seed=seed, **rule))


@given(
    TRAJECTORIES,
    PAIR_RULES,
    st.sampled_from(["all", "best_worst"]),
    st.none() | st.integers(1, 6),
    st.none() | st.integers(1, 12),
    st.integers(0, 2**64 - 1),
)
@settings(max_examples=300)
def test_limits_apply_one_after_another(
    trajectories: list[Trajectory],
    rule: dict,
    strategy: str,
    per_divergence: int | None,
    max_per_task: int | None,
    seed: int,
) -> None:
    forest, expected = build_forest(trajectories), expected_rows(trajectories, rule)
    options = {**rule, "strategy": strategy, "per_divergence": per_divergence, "seed": seed}
    if strategy == "best_worst":
        expected = oracle.best_worst(expected)
    selected = rows(forest.pairs(**options, max_per_task=max_per_task))
    assert is_subsequence(selected, expected)

    many = len(expected) + 1  # no limit
    for task_id in forest:
        own = [row for row in expected if trajectories[row[1]].task_id == task_id]
        kept = [row for row in selected if trajectories[row[1]].task_id == task_id]
        limited = {
            node: min(n, per_divergence or many) for node, n in Counter(r[0] for r in own).items()
        }
        num_kept = Counter(row[0] for row in kept)
        assert len(kept) == min(sum(limited.values()), max_per_task or many)
        assert max_per_task or num_kept == limited
        assert all(n <= limited[node] for node, n in num_kept.items())


@given(TRAJECTORIES, PAIR_RULES, st.integers(1, 3), st.integers(1, 5), st.integers(0, 2**64 - 1))
@settings(max_examples=200)
def test_what_a_task_yields_does_not_depend_on_other_tasks(
    trajectories: list[Trajectory], rule: dict, per_divergence: int, max_per_task: int, seed: int
) -> None:
    options = {**rule, "per_divergence": per_divergence, "max_per_task": max_per_task, "seed": seed}
    together = build_forest(trajectories).pairs(**options)
    for task_id in {t.task_id for t in trajectories}:
        alone = build_forest([t for t in trajectories if t.task_id == task_id]).pairs(**options)
        own = [pair for pair in together if pair.task_id == task_id]
        assert [facts(pair) for pair in own] == [facts(pair) for pair in alone]


def facts(pair) -> tuple:
    return pair.depth, id(pair.chosen), id(pair.rejected), pair.gap
