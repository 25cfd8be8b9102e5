"""Methods that imitate runs as they are: which ones, and beside what."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("trl")

from hypothesis import given
from support.recorded_fitting import RecordedFitting
from support.strategies import DYADIC, trajectory_lists
from support.tiny_models import BAD, GOOD, WORSE

from w2stree.errors import InvalidInput
from w2stree.experiment.config import load_config
from w2stree.experiment.methods import best_of_m, demos_equal_steps, mcts_sft, weak_sft_naive
from w2stree.experiment.methods.method import Explored
from w2stree.forest.build import build_forest
from w2stree.training.optimisation import Optimisation
from w2stree.trajectories.trajectory import Trajectory

pytestmark = [
    pytest.mark.train,
    pytest.mark.filterwarnings("ignore::w2stree.errors.IdenticalTrajectories"),
    pytest.mark.filterwarnings("ignore::w2stree.errors.TurnsWithoutAction"),
]
ONCE = Optimisation(num_epochs=1, learning_rate=1e-3)
FAILED = replace(GOOD, status="error")
ELSEWHERE = replace(WORSE, task_id="task-2")
RUNS = [BAD, WORSE, FAILED, ELSEWHERE, GOOD, replace(GOOD, steps=GOOD.steps[:2])]


def asked(train: Any, **given: Any) -> tuple[list[Trajectory], Any]:
    fitting = RecordedFitting()
    trained = train(start=lambda: "strong", fitting=fitting, **given)
    assert fitting.asked["start"] == "strong"
    return fitting.asked["trajectories"], trained.metrics


def test_best_of_m_imitates_each_task_s_first_best_run_where_it_succeeded() -> None:
    section = best_of_m.BestOfMSection(optimisation=ONCE)
    shown, metrics = asked(best_of_m.train, explored=RUNS, demonstrations=[BAD], section=section)
    assert shown == [GOOD, BAD]
    assert metrics == {"num_best_runs": 1, "num_steps": 1.0}


def test_best_of_m_may_keep_failures_and_leave_demonstrations_out() -> None:
    section = best_of_m.BestOfMSection(min_return=0.1, with_demonstrations=False, optimisation=ONCE)
    shown, _ = asked(best_of_m.train, explored=RUNS, demonstrations=[BAD], section=section)
    assert shown == [GOOD, ELSEWHERE]
    explored = Explored(build_forest(RUNS), [], success_threshold=1.0)
    assert best_of_m.describe(explored, section=section, seed=0) == {"num_kept_runs": 2}


def test_best_of_m_says_that_nothing_succeeded() -> None:
    section = best_of_m.BestOfMSection(optimisation=ONCE)
    with pytest.raises(InvalidInput, match=r"no task has a run of at least 1; lower best_of_m\."):
        asked(best_of_m.train, explored=[BAD], demonstrations=[BAD], section=section)


@given(trajectory_lists(DYADIC))
def test_best_of_m_is_mcts_sft(runs: list[Trajectory]) -> None:
    """Of the same runs: the same paths, but for ties of different paths, of which search may take
    another one than the first."""
    forest = build_forest(runs)
    found = {t.task_id: t for t in forest.search(num_simulations=1000).best_trajectories()}
    best = {t.task_id: t for t in best_of_m.best_runs(runs)}
    assert list(best) == list(forest.task_ids)
    paths = defaultdict(set)
    for run in runs:
        taken = tuple((s.action, s.observation) for s in run.steps)
        paths[run.task_id, run.total_return].add(taken)
    is_lucky = {run.task_id for run in runs if _ends_differently(run, runs)}
    for task_id, run in best.items():
        if task_id in is_lucky:
            continue  # one path, several returns: search sees their mean
        assert found[task_id].total_return == run.total_return
        if len(paths[task_id, run.total_return]) == 1:
            assert found[task_id] is run
    section = {"min_return": 0.75, "optimisation": ONCE}
    kept = mcts_sft.kept_paths(list(best.values()), mcts_sft.MctsSftSection(**section))  # type: ignore[arg-type]
    assert best_of_m.kept_runs(runs, best_of_m.BestOfMSection(**section), 1.0) == kept  # type: ignore[arg-type]


def _ends_differently(run: Trajectory, runs: list[Trajectory]) -> bool:
    return any(
        other.task_id == run.task_id
        and other.steps == run.steps
        and other.total_return != run.total_return
        for other in runs
    )


@pytest.mark.parametrize("with_demonstrations", [True, False])
def test_naive_sft_imitates_every_run_that_was_played(with_demonstrations: bool) -> None:
    section = weak_sft_naive.WeakSftNaiveSection(
        with_demonstrations=with_demonstrations, optimisation=ONCE
    )
    shown, metrics = asked(
        weak_sft_naive.train, explored=[*RUNS, BAD], demonstrations=[GOOD], section=section
    )
    runs = [run for run in [*RUNS, BAD] if run is not FAILED]
    assert shown == runs + [GOOD] * with_demonstrations
    assert metrics == {"num_runs": len(runs), "num_steps": 1.0}


def test_demonstrations_again_count_steps() -> None:
    steps = Optimisation(num_steps=9, learning_rate=1e-3)
    section = demos_equal_steps.DemosEqualStepsSection(optimisation=steps)
    assert asked(demos_equal_steps.train, demonstrations=[GOOD], section=section)[0] == [GOOD]
    given = "demos_equal_steps.optimisation={num_epochs: 1, learning_rate: 1.0e-3}"
    with pytest.raises(InvalidInput, match=r"demos_equal_steps\.optimisation.*give num_steps"):
        load_config("miniature", [given])
