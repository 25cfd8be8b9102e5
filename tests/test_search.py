"""`Forest.search`: options and results (the algorithm is held to the oracle elsewhere)."""

from __future__ import annotations

import math

import pytest
from strategies import episode

from w2stree import InvalidInput, build_forest

TRAJECTORIES = [
    episode("p", 0.0, "y"),
    episode("q", 0.5, "y"),
    episode("ab", 1.0, "x"),
    episode("ab", 0.5, "x"),
    episode("ac", 0.25, "x"),
]


def test_best_trajectories_follow_the_order_of_trees() -> None:
    forest = build_forest(TRAJECTORIES)
    result = forest.search(num_simulations=50)
    assert forest.task_ids == ("y", "x")
    assert result.best_trajectories() == [TRAJECTORIES[1], TRAJECTORIES[2]]
    assert result.best_trajectory.tolist() == [1, 2]
    assert result.best_end_node.tolist() == forest.end_node[[1, 2]].tolist()
    assert result.visit_count[forest.root].tolist() == [50, 50]
    assert repr(result) == "SearchResult(2 trees, 7 nodes)"


def test_arrays_are_read_only() -> None:
    result = build_forest(TRAJECTORIES).search(num_simulations=1)
    with pytest.raises(ValueError, match="read-only"):
        result.visit_count[0] = 7


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_simulations": 0}, "num_simulations=0; expected at least 1"),
        ({"exploration": -0.5}, "exploration=-0.5; expected a finite number >= 0"),
        ({"exploration": float("nan")}, "exploration=nan; expected a finite number >= 0"),
        ({"num_threads": 0}, "num_threads=0; expected at least 1"),
    ],
)
def test_refuses_bad_options(options: dict, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        build_forest(TRAJECTORIES).search(**options)


def test_demo_trajectories() -> None:
    """The three trajectories of the authors' demo and the path it prints."""
    best = episode("ab", 1.0)
    forest = build_forest([best, episode("acd", 0.75), episode("e", 0.5)])
    for stop_arm in (True, False):
        result = forest.search(num_simulations=50, stop_arm=stop_arm)
        assert result.best_trajectories() == [best]


def test_the_logarithm_gets_the_authors_epsilon() -> None:
    """log(C + 1e-12): two arms so close that another epsilon would swap them.

    The descents take a, b, b, and then, with C = 3, the greater of sqrt(log C) for a and
    b + sqrt(log C / 2) for b, which cross at a value that grows with the epsilon.
    """

    def crossing(epsilon: float) -> float:
        log_total = math.log(3 + epsilon)
        return math.sqrt(log_total) - math.sqrt(log_total / 2)

    def visits(value: float) -> list[int]:
        forest = build_forest([episode("a", 0.0), episode("b", value)])
        return forest.search(num_simulations=4, exploration=1.0).visit_count[1:].tolist()

    assert visits((crossing(0) + crossing(1e-12)) / 2) == [2, 2]
    assert visits((crossing(1e-12) + crossing(2e-12)) / 2) == [1, 3]
