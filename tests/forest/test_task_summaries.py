"""A forest task by task, against the same numbers counted one trajectory at a time."""

from __future__ import annotations

import numpy as np
import pytest
from support.household_runs import household_runs, needs_games
from support.looked_at import LOST, MIXED, WON, looked_at

from w2stree import Forest, InvalidInput, Step, Trajectory, build_forest
from w2stree.forest.build import build_forest_from_ids
from w2stree.forest.tasks import TaskSummary, outcomes_of

pytestmark = pytest.mark.filterwarnings("ignore::w2stree.IdenticalTrajectories")


def counted(forest: Forest, task_id: str, min_gap: float) -> TaskSummary:
    """The slow way."""
    tree = forest[task_id]
    alone = build_forest(tree.trajectories, merging=forest.merging)
    returns = [t.total_return for t in tree.trajectories]
    pairs = alone.pairs(min_gap)
    return TaskSummary(
        task_id,
        len(returns),
        sum(value >= 1 for value in returns),
        pytest.approx(sum(returns) / len(returns)),
        min(returns),
        max(returns),
        sum(len(t.steps) for t in tree.trajectories),
        tree.num_nodes,
        int(alone.is_decision_divergence.sum()),
        int(alone.is_environment_divergence.sum()),
        len(set(pairs.divergence.tolist())),
        len(pairs),
    )


@pytest.mark.parametrize("min_gap", [0.0, 0.6])
def test_each_task_in_numbers(min_gap: float) -> None:
    forest = build_forest(looked_at())
    assert forest.tasks(min_gap=min_gap) == [counted(forest, t, min_gap) for t in forest.task_ids]
    won, lost, mixed = forest.tasks()
    assert (won.task_id, lost.task_id, mixed.task_id) == (WON, LOST, MIXED)
    assert (won.num_success, lost.num_success, mixed.num_success) == (2, 0, 1)
    assert (won.spread, lost.spread, mixed.spread) == (0, 0, 1)
    assert (won.num_pairs, lost.num_pairs, mixed.num_pairs) == (0, 0, 2)
    assert mixed.success_rate == pytest.approx(1 / 3)


@needs_games
def test_real_games_in_numbers() -> None:
    forest = build_forest(household_runs(60))
    found = forest.tasks()
    assert found == [counted(forest, task_id, 0.0) for task_id in forest.task_ids]
    assert sum(task.num_pairs for task in found) == forest.count_pairs() > 0
    all_of_them = outcomes_of(found)
    assert all_of_them.num_runs == 420
    assert all_of_them.num_success == forest.total_return.sum()
    counts = (all_of_them.num_all_fail, all_of_them.num_all_succeed, all_of_them.num_mixed)
    assert sum(c or 0 for c in counts) == 60 and None not in counts


def test_all_tasks_together() -> None:
    found = outcomes_of(build_forest(looked_at()).tasks())
    assert (found.num_tasks, found.num_runs, found.num_success) == (3, 7, 3)
    assert (found.num_all_fail, found.num_all_succeed, found.num_mixed) == (1, 1, 1)
    assert (found.mean_return, found.min_return, found.max_return) == (0.5, 0.0, 1.0)
    assert (found.num_tasks_with_pairs, found.num_tasks_with_half_of_pairs) == (1, 1)
    assert ("successes", "3 (42.9%)") in found.rows()


@pytest.mark.parametrize(("least", "num_success"), [(-1.0, None), (-1e-12, 1), (0.0, 1)])
def test_success_is_not_guessed_of_other_ranges(least: float, num_success: int | None) -> None:
    runs = [Trajectory("t", (), (Step(a, ""),), r, "done") for a, r in (("x", least), ("y", 1.0))]
    (task,) = build_forest(runs).tasks()
    assert task.num_success == num_success
    assert outcomes_of([task]).num_success == num_success
    (task,) = build_forest(runs).tasks(success_threshold=least)
    assert task.num_success == 2


@pytest.mark.parametrize("threshold", [float("nan"), "1", True])
def test_a_threshold_is_a_number(threshold: object) -> None:
    with pytest.raises(InvalidInput, match="success_threshold"):
        build_forest(looked_at()).tasks(success_threshold=threshold)  # type: ignore[arg-type]


def test_forests_and_trees_without_runs() -> None:
    assert outcomes_of([]).rows() == [("tasks with pairs", "0")]
    between = build_forest_from_ids(
        np.array([0, 1], np.int32),
        np.array([0, 0], np.int32),
        np.array([0, 1, 2]),
        np.array([0, 2], np.int32),
        np.array([1.0, 0.25]),
        task_ids=["A", "EMPTY", "C"],
    )
    one, empty, other = between.tasks()
    assert (one.mean_return, one.num_success, one.num_steps) == (1.0, 1, 1)
    assert (other.min_return, other.num_success, other.num_steps) == (0.25, 0, 1)
    assert (empty.num_runs, empty.mean_return, empty.success_rate, empty.spread) == (
        0,
        None,
        None,
        0,
    )
    found = outcomes_of(between.tasks())
    assert (found.num_tasks, found.num_all_fail, found.num_all_succeed) == (3, 1, 1)
