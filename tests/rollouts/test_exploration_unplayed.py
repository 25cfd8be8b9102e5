"""Exploration where nobody is there to play with: nothing is used up, nothing recorded."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from support.asynchronous import Asynchronous
from support.explorations import PLANS, play, rows
from support.lock import Lock

from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.errors import (
    EnvironmentNotStarted,
    ExplorationFailure,
    InvalidInput,
    ModelFailure,
    SamplesUnfinished,
    ServerUnreachable,
)
from w2stree.policies.expert import ExpertPolicy
from w2stree.policies.protocol import Episode
from w2stree.policies.random import RandomPolicy
from w2stree.rollouts.executor import LocalExecutor
from w2stree.rollouts.exploration import Budget, Exploration
from w2stree.rollouts.rollout import attempts, rollout
from w2stree.trajectories.journal import Journal, read_journal
from w2stree.turns.turn import AgentTurn


class Unstartable(Lock):
    """Its constructor fails as long as the file is there, or the first `num_failures` times."""

    def __init__(self, broken: Path, num_failures: int | None = None) -> None:
        super().__init__()
        for number in range(num_failures or 0):
            try:
                broken.with_name(f"{broken.name}{number}").touch(exist_ok=False)
            except FileExistsError:
                continue
            raise RuntimeError("the dials are missing")
        if broken.exists():
            raise RuntimeError("the dials are missing")


@pytest.mark.filterwarnings("ignore::w2stree.IdenticalTrajectories")
def test_an_environment_that_does_not_start_stops_it_at_once(
    pool: EnvironmentPool, path: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    play(path, pool, budget=Budget(episodes=2))
    before = rows(path)
    broken.touch()
    with Journal(path) as journal, EnvironmentPool(functools.partial(Unstartable, broken), 2) as p:
        exploration = Exploration(
            journal, LocalExecutor(p, lambda _: RandomPolicy()), max_attempts=1
        )
        with pytest.raises(
            ExplorationFailure, match=r"RuntimeError: the dials are missing\n3 .* used up no attemp"
        ) as caught:
            exploration.play(PLANS)
        assert isinstance(caught.value.__cause__, EnvironmentNotStarted)
        assert rows(path) == before
        assert exploration.outcome().num_open == len(PLANS) - 2
        broken.unlink()
        assert exploration.play(PLANS)
        assert exploration.outcome().is_well
    assert len(rows(path)) == len(PLANS)


def test_one_that_starts_at_the_third_time_costs_no_attempt(path: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    with EnvironmentPool(functools.partial(Unstartable, broken, 2), 1) as pool:
        exploration = play(path, pool, max_attempts=1)
    assert exploration.outcome().is_well
    assert all(t.origin.attempt == 0 for t in read_journal(path).trajectories)
    assert len(rows(path)) == len(PLANS)


class Away(RandomPolicy):
    """A server that goes away in the middle of an episode, until it `is_back`."""

    is_back = False
    num_turns = 0

    def act(self, episodes: Sequence[Episode]) -> list[AgentTurn | ModelFailure]:
        self.num_turns += len(episodes)
        if self.num_turns > 5 and not self.is_back:
            return [ServerUnreachable("http://there: no connection") for _ in episodes]
        return super().act(episodes)


@pytest.mark.parametrize("is_asynchronous", [False, True])
def test_a_server_that_goes_away_costs_no_attempt(
    pool: EnvironmentPool, path: Path, is_asynchronous: bool
) -> None:
    away = Away()
    policy: Any = Asynchronous(away) if is_asynchronous else away
    with Journal(path) as journal:
        exploration = Exploration(journal, LocalExecutor(pool, lambda _: policy), max_attempts=1)
        with pytest.raises(ExplorationFailure, match=r"there: no connection\n3 .*start the server"):
            exploration.play(PLANS)
        assert all(t.status != "error" for t in read_journal(path).trajectories)
        away.is_back = True
        assert exploration.play(PLANS)
        assert exploration.outcome().num_finished == len(PLANS)
    play(path.with_name("whole.journal"), pool)
    assert rows(path) == rows(path.with_name("whole.journal"))


def test_a_rollout_has_a_row_for_what_could_not_be_played(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.touch()
    with EnvironmentPool(functools.partial(Unstartable, broken), 1) as pool:
        (row,) = rollout(pool, RandomPolicy(), PLANS[:1], instruction="")
        (unplayed,) = attempts(pool, RandomPolicy(), PLANS[:1], instruction="")
    assert row.status == "error"
    assert "the dials are missing" in str(row.origin.error)
    assert isinstance(unplayed.cause, EnvironmentNotStarted)  # type: ignore[union-attr]


class Unlisted(Lock):
    """Says that it lists its actions, and never does; or not from the second turn on."""

    def __init__(self, num_listed: int = 0) -> None:
        super().__init__()
        self._num_listed = num_listed

    def expert(self) -> list[Any]:
        return []

    def _info(self) -> Any:
        is_listed = len(self._actions) < self._num_listed
        info = super()._info()
        return info if is_listed else {**info, "admissible_actions": []}


@pytest.mark.parametrize("policy", [RandomPolicy(), ExpertPolicy(noise=0.5)], ids=lambda p: p.name)
def test_play_at_random_without_actions_is_the_user_s_mistake(path: Path, policy: Any) -> None:
    with Journal(path) as journal, EnvironmentPool(Unlisted, 2) as pool:
        exploration = Exploration(journal, LocalExecutor(pool, lambda _: policy))
        with pytest.raises(InvalidInput, match=r"chooses among the actions .* it lists none: have"):
            exploration.play(PLANS)
    # It may be one task of many that has none: that is told by the third one.
    assert {t.task_id for t in read_journal(path).trajectories} <= {"lock/0", "lock/1"}


def test_actions_that_end_in_the_middle_fail_the_episode_and_are_told_of(path: Path) -> None:
    with (
        EnvironmentPool(functools.partial(Unlisted, 1), 2) as pool,
        pytest.warns(
            SamplesUnfinished, match=r"^18 of 18 attempts .*\n +18  the environment lists"
        ),
    ):
        outcome = play(path, pool, max_attempts=2).outcome()
    assert not outcome.is_well
    assert (outcome.num_finished, outcome.num_errors, outcome.num_open) == (0, 18, 0)
    assert outcome.out_of_attempts == outcome.failed
    assert outcome.out_of_attempts == tuple((p.task_id, p.sample_index) for p in PLANS)
    assert outcome.in_words("explore.max_attempts")[-2:] == [
        "9 of 9 samples are out of attempts: lock/0 (0, 1, 2), lock/1 (0, 1, 2), lock/2 (0, 1, 2)",
        "the same command with explore.max_attempts=3 tries them again",
    ]


def test_an_environment_without_an_expert_is_named(path: Path, pool: EnvironmentPool) -> None:
    with Journal(path) as journal:
        exploration = Exploration(journal, LocalExecutor(pool, lambda _: ExpertPolicy()))
        with pytest.raises(InvalidInput, match=r"Lock has no expert: give it a method `expert`"):
            exploration.play(PLANS)
    assert rows(path) == []


def test_a_budget_of_tokens_that_are_not_told_stops_at_once(
    path: Path, pool: EnvironmentPool
) -> None:
    for policy in (RandomPolicy(), Asynchronous(RandomPolicy())):
        with Journal(path) as journal:
            executor = LocalExecutor(pool, lambda _: policy)  # noqa: B023
            exploration = Exploration(journal, executor, budget=Budget(tokens=9))
            with pytest.raises(InvalidInput, match=r"cannot be counted: turns of random come"):
                exploration.play(PLANS)
    assert rows(path) == []


def test_two_plans_of_one_sample_are_refused(path: Path, pool: EnvironmentPool) -> None:
    with Journal(path) as journal:
        exploration = Exploration(journal, LocalExecutor(pool, lambda _: RandomPolicy()))
        with pytest.raises(InvalidInput, match=r"two plans are of sample 1 of task 'lock/0': name"):
            exploration.play([*PLANS, PLANS[1]])
    assert rows(path) == []
