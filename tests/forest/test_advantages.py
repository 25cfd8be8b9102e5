"""Advantages of steps: by hand, and against the definition on any runs."""

from __future__ import annotations

import itertools
import statistics
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.quiet import QUIET
from support.strategies import trajectory_lists

import w2stree as w2s
from w2stree import Forest, InvalidInput, Step, Trajectory, build_forest
from w2stree.forest import build_forest_from_ids
from w2stree.forest.advantages import Baseline, advantages, node_advantages

pytestmark = QUIET


def run(actions: str, total_return: float) -> Trajectory:
    return Trajectory("t", (), tuple(Step(a, a.upper()) for a in actions), total_return, "done")


HAND = [run("a", 1.0), run("bc", 0.5), run("bd", 0.0)]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [[0.5], [-0.25, 0.25], [-0.25, -0.25]]),
        ({"baseline": "group"}, [[0.5], [0.0, 0.25], [-0.5, -0.25]]),
        ({"baseline": "leave_one_out"}, [[0.75], [0.0, 0.5], [-0.75, -0.5]]),
        (
            {"baseline": "group", "scale": True},
            [[1.0], [0.0, 0.5**0.5], [-1.0, -(0.5**0.5)]],
        ),
    ],
)
def test_by_hand(options: dict[str, Any], expected: list[list[float]]) -> None:
    found = w2s.advantages(build_forest(HAND), **options)
    assert [found.of(i).tolist() for i in range(3)] == [pytest.approx(e) for e in expected]
    assert found.trajectory.tolist() == [0, 1, 1, 2, 2]
    assert found.step.tolist() == [0, 0, 1, 0, 1]


def oracle(forest: Forest, baseline: str, scale: bool) -> list[list[float]]:
    """From the runs that pass through each node and go on."""
    runs = list(forest.trajectories)
    paths = [forest.path_to(int(node)) for node in forest.end_node]
    found = []
    for run, path in zip(runs, paths, strict=True):
        values = []
        for h, node in itertools.pairwise(path):
            acting = [r.total_return for r, p in zip(runs, paths, strict=True) if h in p[:-1]]
            through = {
                n: [r.total_return for r, p in zip(runs, paths, strict=True) if n in p]
                for n in (h, node)
            }
            others = sum(acting) - run.total_return
            value = {
                "parent": statistics.fmean(through[node]) - statistics.fmean(through[h]),
                "group": run.total_return - statistics.fmean(acting),
                "leave_one_out": run.total_return - others / (len(acting) - 1)
                if len(acting) > 1
                else 0.0,
            }[baseline]
            if scale:
                deviation = statistics.stdev(acting) if len(acting) > 1 else 0.0
                value = value / deviation if deviation > 1e-9 else 0.0
            values.append(value)
        found.append(values)
    return found


@pytest.mark.parametrize("baseline", get_args(Baseline))
@given(runs=trajectory_lists(), scale=st.booleans())
def test_against_the_definition(baseline: Baseline, runs: list[Trajectory], scale: bool) -> None:
    forest = build_forest(runs)
    found = advantages(forest, baseline=baseline, scale=scale)
    expected = oracle(forest, baseline, scale)
    assert [len(found.of(i)) for i in range(len(runs))] == [len(r.steps) for r in runs]
    for i, values in enumerate(expected):
        assert found.of(i) == pytest.approx(values, abs=1e-9)
    assert len(found) == sum(map(len, expected)) == len(found.node)
    for i, node in enumerate(found.node.tolist()):
        path = forest.path_to(int(forest.end_node[found.trajectory[i]]))
        assert path[found.step[i] + 1] == node


@given(runs=trajectory_lists())
def test_node_advantages_sum_up_to_the_return(runs: list[Trajectory]) -> None:
    forest = build_forest(runs)
    value = node_advantages(forest)
    mean = forest.return_sum / forest.num_trajectories
    for run, end in zip(forest.trajectories, forest.end_node.tolist(), strict=True):
        path = forest.path_to(end)
        assert value[path].sum() == pytest.approx(mean[end] - mean[path[0]])
        if forest.num_trajectories[end] == 1:
            assert mean[end] == pytest.approx(run.total_return)


def test_of_one_run_and_of_equal_returns_they_are_zero() -> None:
    for runs in ([run("ab", 1.0)], [run("ab", 0.1), run("ac", 0.1), run("b", 0.1)]):
        for baseline in get_args(Baseline):
            found = advantages(build_forest(runs), baseline=baseline, scale=True)
            assert not np.any(found.value)


def test_alone_at_a_node_where_others_end_only_the_parent_s_mean_differs() -> None:
    forest = build_forest([run("a", 0.0), run("ab", 1.0)])
    found = {b: advantages(forest, baseline=b).of(1).tolist() for b in get_args(Baseline)}
    assert found["parent"] == [0.0, 0.5], "1.0 less the mean of both"
    assert found["group"][1] == found["leave_one_out"][1] == 0.0
    for baseline in get_args(Baseline):
        assert advantages(forest, baseline=baseline, scale=True).of(1)[1] == 0.0


def test_a_tree_without_runs_has_a_root_that_gains_nothing() -> None:
    ids = np.zeros(1, np.int32)
    forest = build_forest_from_ids(ids, ids, np.array([0, 1]), ids, np.ones(1), num_trees=2)
    assert sorted(forest.num_trajectories.tolist()) == [0, 1, 1]
    assert node_advantages(forest).tolist() == [0.0, 0.0, 0.0]
    assert advantages(forest).value.tolist() == [0.0]


@pytest.mark.parametrize("size", [1.7e308, -1e200])
def test_returns_that_cannot_be_squared_are_refused(size: float) -> None:
    forest = build_forest([run("a", 0.5), run("b", size), run("c", -size)])
    for found in (advantages, node_advantages):
        with pytest.raises(
            InvalidInput, match=r"total_return\[1\] is .*; expected at most 1e\+150"
        ):
            found(forest)
    fits = build_forest([run("a", 1e150), run("b", -1e150)])
    assert advantages(fits, scale=True).value == pytest.approx([0.5**0.5, -(0.5**0.5)])


def test_what_there_is_not_is_refused() -> None:
    forest = build_forest(HAND)
    with pytest.raises(InvalidInput, match="baseline is 'mean'; use one of parent, group"):
        advantages(forest, baseline="mean")  # type: ignore[arg-type]
    for number in (3, -1):
        with pytest.raises(IndexError, match="of 3"):
            advantages(forest).of(number)
