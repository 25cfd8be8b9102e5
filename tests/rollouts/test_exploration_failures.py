"""Exploration where environments, models and disks fail: tried again, or stopped."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from support.explorations import PLANS, play, rows
from support.lock import Lock

from bench.faults import environments
from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.errors import (
    ExplorationFailure,
    JournalError,
    ModelFailure,
    SamplesUnfinished,
)
from w2stree.policies.protocol import Episode, Sampling
from w2stree.policies.random import RandomPolicy
from w2stree.rollouts.executor import LocalExecutor
from w2stree.rollouts.exploration import (
    Budget,
    Exploration,
    plan_episodes,
)
from w2stree.trajectories.files import read_trajectories
from w2stree.trajectories.group_commit import GroupCommit
from w2stree.trajectories.journal import Journal, read_journal
from w2stree.trajectories.trajectory import Trajectory
from w2stree.turns.turn import AgentTurn


class Beyond(Lock):
    """Its score is not on [0, 1]."""

    def step(self, action: str) -> Any:
        *answer, info = super().step(action)
        return *answer, {**info, "score": 5.0}


@pytest.mark.filterwarnings("ignore::w2stree.errors.SamplesUnfinished")
def test_a_score_that_no_adapter_put_on_the_unit_range_is_an_error(path: Path) -> None:
    with EnvironmentPool(Beyond, 1) as pool:
        play(path, pool, PLANS[:1], max_attempts=1)
    (trajectory,) = read_journal(path).trajectories
    assert trajectory.status == "error"
    cause = r"environment process .* \(Beyond, lock/0\): step: info\['score'\] is 5; an adapter"
    assert re.match(cause, str(trajectory.origin.error))


def jammed(tmp_path: Path, num_failures: int) -> Callable[[], Lock]:
    memory = tmp_path / "memory"
    memory.mkdir()
    return functools.partial(Lock, ("lock/1",), num_failures, memory)


def test_errors_are_retried_with_the_same_stream_and_never_count_as_failures(
    pool: EnvironmentPool, path: Path, tmp_path: Path
) -> None:
    with EnvironmentPool(jammed(tmp_path, 4), 2) as jams:
        exploration = play(path, jams, max_attempts=5)
    play(path.with_name("whole.journal"), pool)
    recorded = read_journal(path).trajectories
    errors = [t for t in recorded if t.status == "error"]
    assert len(errors) == 4 == exploration.tallies["lock/1"].num_errors
    assert all("RuntimeError: the lock is jammed" in str(t.origin.error) for t in errors)
    assert exploration.tallies["lock/1"].num_finished == 3

    def actions(t: Trajectory) -> tuple[str, ...]:
        return tuple(step.action for step in t.steps)

    whole = read_trajectories(path.with_name("whole.journal"))
    counted = read_trajectories(path)
    assert {(t.task_id, actions(t)) for t in counted} == {(t.task_id, actions(t)) for t in whole}
    by_sample = {(t.task_id, t.origin.sample_index): actions(t) for t in counted}
    for error in errors:  # what it played before it failed is what the retry played
        done = by_sample[error.task_id, error.origin.sample_index]
        assert done[: len(error.steps)] == actions(error)


def test_attempts_run_out_and_a_resume_may_allow_more(path: Path, tmp_path: Path) -> None:
    with EnvironmentPool(jammed(tmp_path, 7), 2) as pool:
        with pytest.warns(
            SamplesUnfinished, match=r"^6 of 12 attempts .*\n +6  .* is jammed\n3 of"
        ):
            exploration = play(path, pool, max_attempts=2)
        assert exploration.tallies["lock/1"].num_errors == 6
        assert exploration.tallies["lock/1"].num_finished == 0
        rest = read_trajectories(path)
        assert sorted(t.status for t in rest if t.task_id == "lock/1") == ["error"] * 3
        assert len(rest) == len(PLANS)
        before = rows(path)
        with pytest.warns(SamplesUnfinished, match=r"lock/1 \(0, 1, 2\)\n.* max_attempts=3 tries"):
            play(path, pool, max_attempts=2)
        assert rows(path) == before
        play(path, pool, max_attempts=4)
    assert {t.status for t in read_trajectories(path)} <= {"done", "truncated"}
    assert len(rows(path)) == len(PLANS) + 7


@pytest.mark.parametrize("fault", environments.FAULTS)
def test_broken_environments_cost_attempts_and_no_sample(tmp_path: Path, fault: str) -> None:
    counts = environments.disturb(tmp_path, fault, num_faults=3)
    assert counts.num_faults == 3
    # A busy machine's healthy step may miss the deadline of a second too.
    assert counts.num_errors == 3 or fault == "hung"
    assert counts.num_missing == counts.num_counted_as_failures == counts.num_different == 0


class Gone(RandomPolicy):
    """A server that went away after its first answers."""

    num_turns = 0

    def act(self, episodes: Sequence[Episode]) -> list[AgentTurn | ModelFailure]:
        self.num_turns += len(episodes)
        if self.num_turns > 20:
            return [ModelFailure("connection refused") for _ in episodes]
        return super().act(episodes)


@pytest.mark.filterwarnings("ignore::w2stree.IdenticalTrajectories")
def test_errors_one_after_the_other_stop_it(
    pool: EnvironmentPool, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans = plan_episodes([f"lock/{i}" for i in range(40)], [Sampling(), Sampling(0.5)], seed=1)
    policy = Gone()
    # The slowest disk there is: it acknowledges nothing as long as episodes are played.
    monkeypatch.setattr(GroupCommit, "acknowledged", lambda committer: [])
    with Journal(path) as journal:
        exploration = Exploration(journal, LocalExecutor(pool, lambda _: policy), max_attempts=2)
        with pytest.raises(
            ExplorationFailure, match=r"^50 episodes in a row .*\n +50  connection refused"
        ):
            exploration.play(plans)
    monkeypatch.undo()
    errors = [t for t in read_journal(path).trajectories if t.status == "error"]
    assert len(errors) == 50  # all that ended are recorded
    tallies = play(path, pool, plans, max_attempts=2).tallies.values()
    assert sum(tally.num_finished for tally in tallies) == len(plans)


def test_a_journal_that_fails_stops_the_run(
    pool: EnvironmentPool, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Journal, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    play(path, pool, budget=Budget(episodes=2))
    before = path.read_bytes()
    monkeypatch.setattr(Journal, "_write", full)
    with pytest.raises(JournalError, match="No space left on device"):
        play(path, pool)
    monkeypatch.undo()
    assert path.read_bytes() == before
    play(path, pool)
    assert len(rows(path)) == len(PLANS)
