"""The comparison of ways to spend environment steps (`bench/rollouts`)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.storeroom import Storeroom, num_taken, run_of

from bench.rollouts.arms import Found, enough, finished, known, on_the_way, resampled, rows
from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.policies.protocol import Sampling
from w2stree.policies.random import RandomPolicy
from w2stree.trajectories.trajectory import Trajectory

CUP = ["look", "open box", "take cup", "put cup in box", "take pen", "put pen in shelf"]
PEN = ["take cup", "put cup in shelf", "look", "take pen", "put pen in sink", "take pen"]
SAMPLINGS = [Sampling(0.0), Sampling(1.0)]


@pytest.fixture(scope="module")
def pool() -> Iterator[EnvironmentPool]:
    with EnvironmentPool(Storeroom, 1) as pool:
        yield pool


@pytest.fixture(scope="module")
def runs(pool: EnvironmentPool) -> list[Trajectory]:
    return [
        run_of(pool, f"store/{task}", actions, sample=sample)
        for task in range(2)
        for sample, actions in enumerate((CUP, PEN))
    ]


def test_every_arm_is_measured_at_every_budget_and_keeps_to_it(
    pool: EnvironmentPool, runs: list[Trajectory]
) -> None:
    found = list(rows(pool, runs, RandomPolicy(), SAMPLINGS, budgets=[30, 90], seed=0))
    arms = ("recombined", "guided", "branched", "resampled", "unguided")
    assert [(row.arm, row.budget) for row in found] == [
        ("runs", 0),
        *((arm, budget) for arm in arms for budget in (30, 90)),
    ]
    alone = found[0]
    assert (alone.best_return, alone.best_on_the_way, alone.num_steps) == (0.5, 0.75, 0)
    by_arm = {(row.arm, row.budget): row for row in found}
    for row in found[1:]:
        assert 0 < row.num_steps <= row.budget
        assert row.best_on_the_way >= row.best_return >= 0.5
    for arm in arms:
        assert by_arm[arm, 90].best_on_the_way >= by_arm[arm, 30].best_on_the_way
    assert by_arm["recombined", 90].num_solved == 2
    again = rows(pool, runs, RandomPolicy(), SAMPLINGS, budgets=[30, 90], seed=0)
    assert list(again) == found


def test_episodes_count_as_far_as_the_budget_pays_for_them(runs: list[Trajectory]) -> None:
    assert [len(run.steps) for run in runs[:2]] == [6, 6]
    assert known(runs[:1], runs[1:2], 5) == Found(0.5, 0.75, 0)
    assert known(runs[1:2], runs[:1], 6) == Found(0.5, 0.75, 6)
    assert on_the_way(runs[1]) == 0.5
    assert finished(runs).keys() == {"store/0", "store/1"}


def test_what_a_policy_plays_is_what_is_counted(
    pool: EnvironmentPool, runs: list[Trajectory]
) -> None:
    """Of `num_steps`, against the environment's own count."""
    before = num_taken(pool)
    by_task = finished(runs)
    played = enough(pool, RandomPolicy(), resampled(by_task, SAMPLINGS, 0), 40, "")
    steps = sum(len(episode.steps) for of_task in played.values() for episode in of_task)
    assert num_taken(pool) - before == steps
    samples = [episode.origin.sample_index for episode in played["store/0"]]
    assert samples == list(range(2, 2 + len(samples)))
