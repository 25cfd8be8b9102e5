"""Trees without trajectories, which ids can ask for: they yield nothing, and nobody else's."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from w2stree import Forest, open_forest
from w2stree.cli.app import main
from w2stree.forest import build_forest_from_ids, merge_forests
from w2stree.report.trees import choose_trees
from w2stree.rollouts.branching import choose_nodes


def ids(*values: int) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    return np.array(values, np.int32)


@pytest.fixture(autouse=True)
def strict() -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # NaN out of a division by zero among them
        yield


@pytest.fixture
def between() -> Forest:
    """Tree EMPTY, alone between two that have a trajectory each."""
    return build_forest_from_ids(
        ids(0, 1),
        ids(0, 0),
        np.array([0, 1, 2]),
        ids(0, 2),
        np.array([1.0, 0.25]),
        task_ids=["A", "EMPTY", "C"],
    )


@pytest.fixture
def nothing() -> Forest:
    return build_forest_from_ids(ids(), ids(), np.array([0]), ids(), np.zeros(0), num_trees=2)


def test_search_gives_it_no_path(between: Forest, nothing: Forest) -> None:
    found = between.search(num_simulations=20, num_paths=3)
    assert found.best_trajectory.tolist() == [0, -1, 1]
    assert found.best_end_node.tolist() == [1, -1, 4]
    assert found.num_simulations.tolist() == [20, 0, 20]
    assert [t.task_id for t in found.best_trajectories()] == ["A", "C"]
    assert [[p.trajectory.task_id for p in paths] for paths in found.paths()] == [["A"], [], ["C"]]
    assert found.visit_count.tolist() == [20, 20, 0, 20, 20]
    again = between.search(num_simulations=20, num_paths=3, resume=found)
    assert [t.task_id for t in again.best_trajectories()] == ["A", "C"]
    assert nothing.search().best_trajectories() == [] and nothing.search().paths() == [[], []]


def test_a_forest_of_nothing_is_summarised(nothing: Forest) -> None:
    summary = nothing.summary()
    assert (summary.num_trees, summary.num_nodes, summary.num_trajectories) == (2, 2, 0)
    assert (summary.distinct_share, summary.merge_rate, summary.mean_branching) == (0, 0, 0)
    assert "0.0%" in str(summary)


def test_the_command_line_shows_it(
    nothing: Forest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing.save(tmp_path / "lone.forest")
    assert main(["tree", str(tmp_path / "lone.forest")]) == 0
    assert main(["tree", str(tmp_path / "lone.forest"), "--task", "task 1"]) == 0
    assert "task 1  [n=0 r=-]" in capsys.readouterr().out


def test_is_drawn_without_a_mean(between: Forest) -> None:
    tree = between["EMPTY"]
    assert str(tree).startswith("EMPTY  [n=0 r=-]\n")
    assert repr(tree) == "Tree('EMPTY', 0 trajectories, 1 nodes)"
    assert choose_trees(between) == []


def test_has_no_pairs_and_no_branching_point(between: Forest, nothing: Forest) -> None:
    assert len(between.pairs()) == nothing.count_pairs() == 0
    assert len(nothing.pairs(strategy="best_worst", max_per_task=3, seed=1)) == 0
    assert len(nothing.sample_pairs(5, seed=1)) == 0 and list(nothing.stream_pairs()) == []
    assert choose_nodes(between["EMPTY"], "return_variance") == []
    assert between["EMPTY"].trajectories == []


def test_survives_a_file_and_a_merge(between: Forest, nothing: Forest, tmp_path: Path) -> None:
    between.save(tmp_path / "f")
    assert open_forest(tmp_path / "f").digest() == between.digest()
    merged = merge_forests([between, nothing])
    assert list(merged) == ["A", "EMPTY", "C", "task 0", "task 1"]
    assert [t.task_id for t in merged.search(num_simulations=5).best_trajectories()] == ["A", "C"]
