"""The search equals the oracle exactly: options, near ties, many arms, extreme magnitudes."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.comparisons import assert_same_search, assert_search_equals_oracle
from support.quiet import QUIET
from support.strategies import PROMPT, SEARCHES, trajectory_lists

from w2stree import (
    Forest,
    InvalidInput,
    SearchResult,
    Step,
    Trajectory,
    _core,
    build_forest,
)

pytestmark = QUIET


def search_core(forest: Forest, options: dict) -> SearchResult:
    """The core takes returns of any magnitude, also those that no range of doubles holds."""
    defaults = {"exploration": 1.41, "stop_arm": True, "backup": "mean", "min_visits": 0}
    others = {"num_paths": 1, "patience": None, "resume": None, "num_threads": 1}
    core = _core.search(forest.core, **{**defaults, **others, **options}, return_scale=1.0)
    return SearchResult(forest, core)


def assert_equal_to_oracle(trajectories: list[Trajectory], options: dict) -> SearchResult:
    result = build_forest(trajectories).search(**options)
    assert_search_equals_oracle(result, trajectories, options)
    return result


@given(trajectory_lists(), SEARCHES)
@settings(max_examples=500)
def test_search(trajectories: list[Trajectory], options: dict) -> None:
    assert_equal_to_oracle(trajectories, options)


@given(trajectory_lists(), SEARCHES)
@settings(max_examples=50)
def test_threads_do_not_change_the_result(trajectories: list[Trajectory], options: dict) -> None:
    forest = build_forest(trajectories)
    one = forest.search(**options, num_threads=1)
    for num_threads in range(2, 9):
        many = forest.search(**options, num_threads=num_threads)
        assert_same_search(one, many)
        assert one.num_exact_checks == many.num_exact_checks


@given(trajectory_lists(), SEARCHES, st.data())
@settings(max_examples=300)
def test_continuing_equals_searching_at_once(
    trajectories: list[Trajectory], options: dict, data: st.DataObject
) -> None:
    forest = build_forest(trajectories)
    total = options.pop("num_simulations")
    at_once = forest.search(num_simulations=total, **options)
    result, left = None, total
    while left > 0:
        part = data.draw(st.integers(1, left))
        result = forest.search(num_simulations=part, resume=result, **options)
        left -= part
    assert result is not None
    assert_same_search(result, at_once)


# Endings inside -------------------------------------------------------------------------------


def snapshots(returns: list[float]) -> list[Trajectory]:
    """Runs of one task, each a prefix of the next."""
    steps = tuple(Step(f"edit line {i}", "done") for i in range(len(returns)))
    return [
        Trajectory("task", PROMPT, steps[: i + 1], value, "truncated")
        for i, value in enumerate(returns)
    ]


@pytest.mark.parametrize("num_runs", [2, 20, 60])
@pytest.mark.parametrize("backup", ["mean", "max"])
def test_a_success_behind_endings_is_found_in_as_many_descents(num_runs: int, backup: str) -> None:
    forest = build_forest(snapshots([0.0] * (num_runs - 1) + [1.0]))
    for num_simulations in (num_runs, num_runs + 1, 2 * num_runs, 1000):
        result = forest.search(num_simulations=num_simulations, backup=backup)
        assert result.best_trajectory.tolist() == [num_runs - 1]
    options = {"num_simulations": 300, "min_visits": 10, "num_paths": num_runs, "backup": backup}
    assert_equal_to_oracle(snapshots([0.0] * (num_runs - 1) + [1.0]), options)


@given(
    st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.7]), min_size=1, max_size=19),
    st.sampled_from(["mean", "max"]),
)
@settings(max_examples=60)
def test_endings_of_any_return_do_not_hide_a_success(returns: list[float], backup: str) -> None:
    forest = build_forest(snapshots([*returns, 1.0]))
    result = forest.search(num_simulations=1000, backup=backup)
    assert result.best_trajectory.tolist() == [len(returns)]


@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=2, max_size=12))
@settings(max_examples=60)
def test_stopping_wins_where_it_is_best(returns: list[float]) -> None:
    """The greatest of greedy's choices: no ending before it is better, ties to the shortest."""
    result = build_forest(snapshots(returns)).search(num_simulations=5000, backup="max")
    assert result.best_trajectory.tolist() == [returns.index(max(returns))]


def test_stop_needs_one_visit() -> None:
    """Its value is known: min_visits does not set it aside, as it does a child."""
    trajectories = [
        Trajectory("task", PROMPT, steps, value, "done")
        for steps, value in [
            ((Step("a", "ok"),), 0.6),
            ((Step("a", "ok"), Step("b", "ok")), 0.59),
            ((Step("a", "ok"), Step("c", "ok")), 0.58),
        ]
    ]
    options = {"num_simulations": 60, "min_visits": 10}
    result = assert_equal_to_oracle(trajectories, options)
    assert result.stop_visit_count[1] == 1
    assert result.best_trajectory.tolist() == [0]


@given(trajectory_lists([0.0, 0.125, 0.5, 0.75, 1.0]), SEARCHES, st.integers(-9, 9))
@settings(max_examples=100)
def test_a_range_is_a_scale(trajectories: list[Trajectory], options: dict, power: int) -> None:
    """Returns and range times a power of two: the same descents, to the bit."""
    scale = 2.0**power
    larger = [replace(t, total_return=t.total_return * scale) for t in trajectories]
    unit = build_forest(trajectories).search(**{**options, "return_range": (0, 1)})
    scaled = build_forest(larger).search(**{**options, "return_range": (0, scale)})
    for name in ("visit_count", "stop_visit_count", "path_end_node", "num_simulations"):
        assert getattr(unit, name).tobytes() == getattr(scaled, name).tobytes(), name
    assert (unit.value_sum * scale).tobytes() == scaled.value_sum.tobytes()


# Near ties ------------------------------------------------------------------------------------


def star(returns: list[float]) -> list[Trajectory]:
    """One task, one step: an arm for each return."""
    return [
        Trajectory("task", PROMPT, (Step(str(arm), "ok"),), value, "done")
        for arm, value in enumerate(returns)
    ]


def bush(returns: list[list[float]]) -> list[Trajectory]:
    """One task: an arm for each list, which splits into an arm for each return."""
    return [
        Trajectory("task", PROMPT, (Step(str(arm), "ok"), Step(str(twig), "ok")), value, "done")
        for arm, values in enumerate(returns)
        for twig, value in enumerate(values)
    ]


def ulps(value: float, count: int) -> float:
    for _ in range(abs(count)):
        value = math.nextafter(value, math.copysign(math.inf, count))
    return value


near_values = st.builds(ulps, st.sampled_from([0.1, 0.3, 0.5, 1.0, 1e-3]), st.integers(-2, 2))


@given(
    st.lists(st.lists(near_values, min_size=1, max_size=3), min_size=2, max_size=20),
    st.sampled_from([0.0, 1e-15, 0.3, 1.41]),
    st.sampled_from(["mean", "max"]),
)
@settings(max_examples=300)
def test_near_ties(returns: list[list[float]], exploration: float, backup: str) -> None:
    options = {"num_simulations": 300, "exploration": exploration, "backup": backup}
    assert_equal_to_oracle(bush(returns), options)


@pytest.mark.parametrize("num_arms", [2, 3, 9, 16, 17, 40, 64, 65, 100, 300])
@pytest.mark.parametrize("exploration", [0.0, 1.41])
def test_exact_scores_decide_near_ties(num_arms: int, exploration: float) -> None:
    """All arms within some ulps of one another: fast scores cannot tell, and are not trusted."""
    returns = [ulps(0.3, (7 * arm) % 5) for arm in range(num_arms)]
    options = {"num_simulations": 6 * num_arms + 100, "exploration": exploration}
    assert assert_equal_to_oracle(star(returns), options).num_exact_checks > num_arms


@pytest.mark.parametrize("returns", [[[0.75, 0.25], [0.5]], [[0.5], [0.75, 0.25]]])
def test_equal_scores_of_different_statistics_go_to_the_first_arm(
    returns: list[list[float]],
) -> None:
    """Without exploration means decide: after three descents (0.75 + 0.25) / 2 against 0.5."""
    options = {"num_simulations": 4, "exploration": 0.0}
    result = assert_equal_to_oracle(bush(returns), options)
    assert result.num_exact_checks == 1
    first, second = result.visit_count[result.forest.parent == 0]
    assert first > second or returns[0] == [0.5]


def test_equal_statistics_need_no_exact_scores() -> None:
    result = assert_equal_to_oracle(star([0.3] * 200), {"num_simulations": 2000})
    assert result.num_exact_checks == 0


# Many arms ------------------------------------------------------------------------------------


@given(
    st.integers(60, 200),
    st.sampled_from([1, 2, 11, 1 << 40]),
    st.sampled_from([0.0, 0.1, 1.41, 30.0]),
    st.sampled_from(["mean", "max"]),
    st.booleans(),
    st.randoms(use_true_random=False),
)
@settings(max_examples=40)
def test_blocks_of_arms(
    num_arms: int, num_values: int, exploration: float, backup: str, stops: bool, random
) -> None:
    returns = [
        [random.randrange(num_values) / num_values for _ in range(random.choice([1, 1, 1, 3]))]
        for _ in range(num_arms)
    ]
    trajectories = bush(returns)
    if stops:
        trajectories.append(Trajectory("task", PROMPT, (), 0.5, "done"))
    num_simulations = random.choice([num_arms - 1, num_arms + 20, 1500])
    options = {"exploration": exploration, "backup": backup}
    assert_equal_to_oracle(trajectories, {"num_simulations": num_simulations, **options})
    forest = build_forest(trajectories)
    first = random.randrange(1, num_simulations)
    result = forest.search(num_simulations=first, **options)
    result = forest.search(num_simulations=num_simulations - first, resume=result, **options)
    assert_same_search(result, forest.search(num_simulations=num_simulations, **options))


@pytest.mark.parametrize(("num_arms", "num_simulations"), [(1024, 2500), (5000, 5400)])
@pytest.mark.parametrize("num_values", [1, 11, 1 << 40])
def test_a_thousand_arms(num_arms: int, num_simulations: int, num_values: int) -> None:
    random = np.random.default_rng(num_arms)
    returns = (random.integers(num_values, size=num_arms) / num_values).tolist()
    assert_equal_to_oracle(star(returns), {"num_simulations": num_simulations})


# Magnitudes -----------------------------------------------------------------------------------

EXTREMES = [0.0, -0.0, 1.0, -1e6, 1e300, -1e300, 1e308, -1e308, 5e-324, 1e-310, 1e280, 0.3]


@given(
    st.lists(st.lists(st.sampled_from(EXTREMES), min_size=1, max_size=3), min_size=2, max_size=20),
    st.sampled_from([0.0, 5e-324, 1e-310, 1.41, 1e280, 1e308]),
    st.sampled_from(["mean", "max"]),
    st.booleans(),
)
@settings(max_examples=300)
def test_magnitudes(
    returns: list[list[float]], exploration: float, backup: str, stop_arm: bool
) -> None:
    options = {"num_simulations": 100, "exploration": exploration, "backup": backup}
    options["stop_arm"] = stop_arm
    trajectories = bush(returns)
    result = search_core(build_forest(trajectories), options)
    assert_search_equals_oracle(result, trajectories, options)


def test_magnitudes_among_many_arms() -> None:
    for extremes in ([0.5, 1e300], [0.5, 1e308], [1e-310, 5e-324], [1e270, 1e271, -1e271]):
        trajectories = star([extremes[arm % len(extremes)] for arm in range(130)])
        options = {"num_simulations": 600}
        result = search_core(build_forest(trajectories), options)
        assert_search_equals_oracle(result, trajectories, options)


# Continuing -----------------------------------------------------------------------------------


def test_continuing_refuses_another_search(two_forests: tuple[Forest, Forest]) -> None:
    forest, other = two_forests
    earlier = forest.search(num_simulations=10)
    for options, message in [
        ({"exploration": 1.0}, "exploration=1; resume was searched with 1.41"),
        ({"return_range": (0, 2)}, r"return_range=\(0.0, 2.0\); resume was searched with \(0.0, 1"),
        ({"stop_arm": False}, "stop_arm differs from that of resume"),
        ({"backup": "max"}, "backup differs from that of resume"),
    ]:
        with pytest.raises(InvalidInput, match=message):
            forest.search(num_simulations=10, resume=earlier, **options)
    with pytest.raises(InvalidInput, match="resume is the result of another forest"):
        other.search(num_simulations=10, resume=earlier)
    with pytest.raises(InvalidInput, match="resume is int; expected a SearchResult"):
        forest.search(num_simulations=10, resume=5)  # type: ignore[arg-type]


@pytest.fixture
def two_forests() -> tuple[Forest, Forest]:
    return build_forest(star([0.0, 1.0])), build_forest(star([0.0, 1.0]))
