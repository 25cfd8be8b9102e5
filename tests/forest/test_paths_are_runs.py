"""What a prefix tree can and cannot find (docs/method.md, "What the tree adds")."""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.strategies import DYADIC, trajectory_lists

from w2stree.forest.build import build_forest
from w2stree.forest.merging import Merging
from w2stree.trajectories.trajectory import Trajectory

pytestmark = [
    pytest.mark.filterwarnings("ignore::w2stree.errors.IdenticalTrajectories"),
    pytest.mark.filterwarnings("ignore::w2stree.errors.TurnsWithoutAction"),
]


def _all_alike(texts: list[str]) -> np.ndarray:
    return np.ones((len(texts), 2), dtype=np.float32)


def _actions(run: Trajectory) -> tuple[str, ...]:
    return tuple(step.action for step in run.steps)


@given(trajectory_lists(DYADIC), st.booleans(), st.sampled_from([1, 7, 200]))
def test_every_searched_path_is_one_run(
    runs: list[Trajectory], by_similarity: bool, num_simulations: int
) -> None:
    alike = Merging(min_similarity=0.9, embed=_all_alike, guard=None)
    forest = build_forest(runs, merging=alike if by_similarity else Merging())
    best = forest.search(num_simulations=num_simulations, num_paths=3).best_trajectories()
    played = {(run.task_id, _actions(run), run.total_return) for run in runs}
    assert {(path.task_id, _actions(path), path.total_return) for path in best} <= played


@given(trajectory_lists(DYADIC))
def test_the_pairs_of_a_task_are_all_pairs_of_its_runs_with_different_returns(
    runs: list[Trajectory],
) -> None:
    """Where no run is another's beginning, and none parts from another by the environment."""
    by_task: dict[str, list[Trajectory]] = defaultdict(list)
    for run in runs:
        by_task[run.task_id].append(run)
    expected = sum(
        _parts_by_action(a, b) and a.total_return != b.total_return
        for task in by_task.values()
        for a, b in combinations(task, 2)
    )
    assert len(build_forest(runs).pairs()) == expected


def _parts_by_action(a: Trajectory, b: Trajectory) -> bool:
    for one, other in zip(a.steps, b.steps, strict=False):
        if one.action != other.action:
            return True
        if one.observation != other.observation:
            return False
    return False
