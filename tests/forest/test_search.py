"""`Forest.search`: options and results (the algorithm is held to the oracle elsewhere)."""

from __future__ import annotations

import math

import pytest
from support.cpu_alarm import assert_an_alarm_stops
from support.strategies import episode

from w2stree import InvalidInput, Step, Trajectory, build_forest

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
        ({"exploration": float("nan")}, "exploration=nan; expected a finite number"),
        ({"num_threads": 0}, "num_threads=0; expected at least 1"),
        ({"backup": "median"}, "backup='median'; expected 'mean' or 'max'"),
        ({"min_visits": -1}, "min_visits=-1; expected at least 0"),
        ({"num_paths": 0}, "num_paths=0; expected at least 1"),
        ({"patience": 0}, "patience=0; expected at least 1"),
        ({"num_simulations": "10"}, "num_simulations='10'; expected a whole number"),
        ({"num_simulations": True}, "num_simulations=True; expected a whole number"),
        ({"min_visits": 1.0}, "min_visits=1.0; expected a whole number"),
        ({"num_paths": None}, "num_paths=None; expected a whole number"),
        ({"patience": "9"}, "patience='9'; expected a whole number"),
        ({"exploration": "1"}, "exploration='1'; expected a finite number"),
        ({"exploration": True}, "exploration=True; expected a finite number"),
        ({"stop_arm": "no"}, "stop_arm='no'; expected True or False"),
        ({"backup": ["mean"]}, r"backup=\['mean'\]; expected 'mean' or 'max'"),
        ({"num_threads": "2"}, "num_threads='2'; expected a whole number"),
    ],
)
def test_refuses_bad_options(options: dict, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        build_forest(TRAJECTORIES).search(**options)


def test_node_columns_are_written_out_on_first_use() -> None:
    result = build_forest(TRAJECTORIES).search(num_simulations=10)
    assert not result._columns
    assert result.visit_count is result.visit_count
    assert list(result._columns) == ["node_visit_count"]


def test_paths_of_each_tree() -> None:
    result = build_forest(TRAJECTORIES).search(num_simulations=50, num_paths=3)
    y, x = result.paths()  # each tree has two endings: there is no third path
    assert [path.trajectory for path in y] == [TRAJECTORIES[1], TRAJECTORIES[0]]
    assert [path.trajectory for path in x] == [TRAJECTORIES[2], TRAJECTORIES[4]]
    assert [path.value for path in x] == [0.75, 0.25]
    assert sum(path.visit_count for path in x) == 50
    assert [path.end_node for path in y + x] == result.path_end_node.tolist()
    assert result.path_tree.tolist() == [0, 0, 1, 1]
    assert result.best_trajectories() == [y[0].trajectory, x[0].trajectory]


def test_max_backup_follows_the_best_seen() -> None:
    """b was 1.0 once, and a is better on average."""
    forest = build_forest([episode("a", 0.7), episode("bx", 0.0), episode("by", 1.0)])
    mean = forest.search(num_simulations=4, exploration=100.0)
    most = forest.search(num_simulations=4, exploration=100.0, backup="max")
    assert mean.best_trajectory.tolist() == [0]
    assert most.best_trajectory.tolist() == [2]
    assert most.value_max.tolist() == [1.0, 0.7, 1.0, 0.0, 1.0]
    assert forest.search(num_simulations=1).value_max.tolist() == [0.7, 0.7, *[-math.inf] * 3]


def test_min_visits_sets_rarely_visited_arms_aside() -> None:
    """After six descents a has 0.7 of four visits, b 0.8 of two."""
    forest = build_forest([episode("a", 0.7), episode("bx", 0.6), episode("by", 1.0)])
    options = {"num_simulations": 6, "exploration": 0.2}
    assert forest.search(**options).visit_count.tolist() == [6, 4, 2, 1, 1]
    best = [int(forest.search(**options, min_visits=n).best_trajectory[0]) for n in range(6)]
    assert best == [2, 2, 2, 0, 0, 2]  # from five visits on all arms are aside, so none is


def test_patience_stops_trees_that_have_converged() -> None:
    result = build_forest(TRAJECTORIES).search(num_simulations=1000, patience=20)
    assert result.num_simulations.tolist() == [40, 40]
    assert result.visit_count[result.forest.root].tolist() == [40, 40]
    assert result.best_trajectories() == [TRAJECTORIES[1], TRAJECTORIES[2]]
    # Converged is converged, while patience is the same.
    again = result.forest.search(num_simulations=1000, patience=20, resume=result)
    assert again.num_simulations.tolist() == [40, 40]
    more = result.forest.search(num_simulations=30, resume=result)
    assert more.num_simulations.tolist() == [70, 70]


@pytest.mark.parametrize("num_arms", [2, 3000])
@pytest.mark.parametrize("num_threads", [1, 2])
def test_an_interrupt_ends_a_long_search(num_arms: int, num_threads: int) -> None:
    trajectories = [
        Trajectory("task", TRAJECTORIES[0].prompt, (Step(str(arm), ""),), 0.25, "done")
        for arm in range(num_arms)
    ]
    forest = build_forest(trajectories)
    assert_an_alarm_stops(
        lambda: forest.search(num_simulations=10**9, num_threads=num_threads),
        after_s=0.2,
        num_threads=num_threads,
    )


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
