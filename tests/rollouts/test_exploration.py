"""Exploration: every sample once, whatever interrupts, within its budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from support.explorations import PLANS, play, rows
from support.lock import Lock

from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.policies.protocol import Episode, Sampling
from w2stree.policies.random import RandomPolicy
from w2stree.rollouts.executor import LocalExecutor
from w2stree.rollouts.exploration import (
    PAPER_SAMPLINGS,
    Budget,
    Exploration,
    Progress,
)
from w2stree.rollouts.rollout import EpisodePlan
from w2stree.rollouts.tally import AttemptCounts
from w2stree.trajectories.group_commit import GroupCommit
from w2stree.trajectories.journal import Journal, read_journal
from w2stree.trajectories.origin import Origin
from w2stree.trajectories.trajectory import Trajectory
from w2stree.turns.turn import AgentTurn


def test_the_plan_is_tasks_times_samplings() -> None:
    assert [(p.task_id, p.sample_index, p.sampling) for p in PLANS[:4]] == [
        ("lock/0", 0, Sampling()),
        ("lock/0", 1, Sampling(0.5)),
        ("lock/0", 2, Sampling(model="base")),
        ("lock/1", 0, Sampling()),
    ]
    # A stream is its run's, task's and sample's; nothing else's, so that a retry repeats it.
    draws = {p.rng().random() for p in PLANS}
    assert len(draws) == len(PLANS)
    again = EpisodePlan("lock/0", 1, Sampling(0.9), 5, attempt=2)
    assert again.rng().random() == PLANS[1].rng().random()


def test_the_papers_six() -> None:
    tuned = [(s.temperature, s.top_p) for s in PAPER_SAMPLINGS if s.model == "tuned"]
    assert tuned == [(0.7, 0.9), (0.0, 1.0), (1.0, 0.8), (1.0, 0.8), (1.0, 0.9)]
    assert PAPER_SAMPLINGS[5] == Sampling(0.7, 0.9, model="base")


def test_every_sample_is_played_once(pool: EnvironmentPool, path: Path) -> None:
    exploration = play(path, pool)
    recorded = read_journal(path).trajectories
    assert {(t.task_id, t.origin.sample_index) for t in recorded} == {
        (p.task_id, p.sample_index) for p in PLANS
    }
    assert len(recorded) == len(PLANS)
    for task_id, tally in exploration.tallies.items():
        own = [t for t in recorded if t.task_id == task_id]
        assert tally.num_finished == 3
        assert tally.num_success == sum(t.total_return == 1.0 for t in own)
        assert tally.num_truncated == sum(t.status == "truncated" for t in own)
        assert tally.return_sum == sum(t.total_return for t in own)
        assert tally.num_distinct == len({tuple(s.action for s in t.steps) for t in own})
    before = path.read_bytes()
    assert play(path, pool).tallies == exploration.tallies  # nothing is left to play
    assert path.read_bytes() == before


def test_what_is_told_of_all_tasks_is_the_sum_over_them(pool: EnvironmentPool, path: Path) -> None:
    told: list[Progress] = []
    play(path, pool, progress=told.append)
    totals, tallies = told[-1].totals, told[-1].tallies.values()
    for field in fields(AttemptCounts):
        assert getattr(totals, field.name) == sum(getattr(t, field.name) for t in tallies)
    assert totals.num_finished == len(PLANS) > len(tallies)


@pytest.mark.parametrize("num_played", [1, 3, 5])
def test_an_interrupted_run_ends_up_as_an_uninterrupted_one(
    pool: EnvironmentPool, path: Path, num_played: int
) -> None:
    play(path.with_name("whole.journal"), pool)

    def interrupt(progress: Progress) -> None:
        if progress.num_settled >= num_played:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        play(path, pool, progress=interrupt)
    first = rows(path)
    assert num_played <= len(first) < len(PLANS)
    with EnvironmentPool(Lock, 3) as other:  # another number of environments too
        play(path, other)
    assert set(first) <= set(rows(path))
    assert rows(path) == rows(path.with_name("whole.journal"))


def test_the_episode_budget_is_exact_and_a_larger_one_goes_on(
    pool: EnvironmentPool, path: Path
) -> None:
    short = play(path, pool, budget=Budget(episodes=5))
    assert short.spent() == "the budget of 5 episodes is spent"
    assert len(rows(path)) == 5
    play(path, pool, budget=Budget(episodes=5))
    assert len(rows(path)) == 5
    whole = play(path, pool, budget=Budget(episodes=100))
    assert whole.spent() is None
    assert len(rows(path)) == len(PLANS)


class Talking(RandomPolicy):
    """Random play that says ten tokens a turn."""

    def act(self, episodes: Sequence[Episode]) -> Any:
        return [AgentTurn(t.response, tuple(range(10))) for t in super().act(episodes)]  # type: ignore[union-attr]


def test_the_token_budget_starts_nothing_more(pool: EnvironmentPool, path: Path) -> None:
    with Journal(path) as journal:
        exploration = Exploration(
            journal, LocalExecutor(pool, lambda _: Talking()), budget=Budget(tokens=100)
        )
        assert not exploration.play(PLANS)
    # Four side by side say 30 tokens each: the first four are under the budget when they start.
    assert len(rows(path)) == 4
    assert exploration.spent() == "the budget of 100 tokens is spent (120 sampled)"


def test_the_time_budget_is_each_sessions_own(pool: EnvironmentPool, path: Path) -> None:
    late = play(path, pool, budget=Budget(wall_seconds=1e-9))
    assert late.spent() == "this session's 1e-09 seconds are over"
    assert rows(path) == []
    play(path, pool, budget=Budget(wall_seconds=600))
    assert len(rows(path)) == len(PLANS)


def test_each_model_plays_its_own_part(pool: EnvironmentPool, path: Path) -> None:
    asked = []

    def policy(model: str) -> RandomPolicy:
        asked.append(model)
        named = RandomPolicy()
        named.name = model
        return named

    with Journal(path) as journal:
        Exploration(journal, LocalExecutor(pool, policy)).play(PLANS)
    assert asked == ["tuned", "base"]
    recorded = read_journal(path).trajectories
    assert all(t.origin.policy == t.origin.model for t in recorded)
    assert sum(t.origin.policy == "base" for t in recorded) == 3


def test_progress_counts_what_is_on_the_disk(pool: EnvironmentPool, path: Path) -> None:
    seen: list[Progress] = []

    def look(progress: Progress) -> None:
        seen.append(progress)
        assert len(read_journal(path).trajectories) >= progress.num_settled

    play(path, pool, progress=look)
    assert [p.num_settled for p in seen] == list(range(1, len(PLANS) + 1))
    assert {p.num_planned for p in seen} == {len(PLANS)}
    assert seen[-1].seconds_left == 0.0
    assert all(p.episodes_per_s > 0 for p in seen)


def test_episodes_are_acknowledged_in_groups_and_in_order(path: Path) -> None:
    episodes = [Trajectory("t", (), (), 0.0, "done", Origin(i)) for i in range(500)]
    with Journal(path) as journal:
        with GroupCommit(journal) as committer:
            for trajectory in episodes:
                committer.append(trajectory)
        assert committer.acknowledged() == episodes
        assert committer.acknowledged() == []
    assert read_journal(path).trajectories == tuple(episodes)
