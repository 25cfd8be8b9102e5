"""Exploration warns of returns cut, samples that coincide, turns without action, short episodes."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from support.explorations import PLANS, play

from w2stree.environments.gymnasium import GymnasiumEnvironment
from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.errors import (
    ContextExceeded,
    CutReturns,
    EpisodesCutShort,
    IdenticalTrajectories,
    TurnsWithoutAction,
)
from w2stree.policies.protocol import Episode, Sampling
from w2stree.policies.random import RandomPolicy
from w2stree.rollouts.executor import LocalExecutor
from w2stree.rollouts.exploration import (
    Exploration,
    plan_episodes,
)
from w2stree.rollouts.tally import TaskTally
from w2stree.trajectories.journal import Journal, read_journal
from w2stree.turns.turn import AgentTurn


def test_returns_that_were_cut_are_said_once_with_their_number(path: Path) -> None:
    buttons = functools.partial(
        GymnasiumEnvironment, "support.games:Buttons", score_range=(-3, 0), max_steps=5
    )
    plans = plan_episodes([f"Buttons/train/{i}" for i in range(4)], [Sampling()], seed=1)
    with EnvironmentPool(buttons, 2) as pool, pytest.warns(CutReturns) as caught:
        play(path, pool, plans)
    raw = [t.origin.raw_return for t in read_journal(path).trajectories]
    cut = [value for value in raw if value is not None]
    assert 0 < len(cut) < 4 and max(cut) < -3
    (message,) = [str(w.message) for w in caught if w.category is CutReturns]
    assert message.startswith(f"{len(cut)} of 4 runs have scores beyond the environment's score_r")
    assert f"({min(cut):g} to {max(cut):g})" in message


class Stubborn(RandomPolicy):
    def act(self, episodes: Sequence[Episode]) -> Any:
        return [AgentTurn("Action: turn left") for _ in episodes]


def test_samples_that_coincide_are_warned_of(pool: EnvironmentPool, path: Path) -> None:
    with Journal(path) as journal:
        exploration = Exploration(journal, LocalExecutor(pool, lambda _: Stubborn()))
        with pytest.warns(IdenticalTrajectories, match=r"of 3 of 3 tasks .* \(first: lock/0\)"):
            exploration.play(PLANS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        play(path.with_name("b.journal"), pool)


class Polite(RandomPolicy):
    """Answers in another form, but for every `others`-th turn."""

    def __init__(self, *, others: int) -> None:
        super().__init__()
        self._others, self._num_turns = others, 0

    def act(self, episodes: Sequence[Episode]) -> Any:
        turns = list(super().act(episodes))
        for i in range(len(turns)):
            self._num_turns += 1
            if self._num_turns % self._others:
                turns[i] = AgentTurn("Sure! I will now stop.")
        return turns


def test_turns_without_an_action_are_counted_and_told_of(pool: EnvironmentPool, path: Path) -> None:
    with Journal(path) as journal:
        exploration = Exploration(journal, LocalExecutor(pool, lambda _: Polite(others=10**6)))
        with pytest.warns(UserWarning) as told:
            exploration.play(PLANS)
    (warning,) = told
    assert warning.category is TurnsWithoutAction, "not that all took the same actions"
    tallies = exploration.tallies.values()
    num_turns = sum(len(t.steps) for t in read_journal(path).trajectories)
    assert sum(t.num_unparsed for t in tallies) == sum(t.num_turns for t in tallies) == num_turns
    assert str(warning.message).startswith(
        f"{num_turns} of {num_turns} turns had no action (the first one: 'Sure! I will now stop.')"
    )
    assert play_again(path, pool) == exploration.tallies, "counted from the journal, too"


def test_runs_alike_for_want_of_actions_are_not_called_greedy(
    pool: EnvironmentPool, path: Path
) -> None:
    """Of two tasks one is played; of the other the first turn alone has an action."""

    class Fading(RandomPolicy):
        def act(self, episodes: Sequence[Episode]) -> Any:
            turns = super().act(episodes)
            for i, episode in enumerate(episodes):
                if episode.prompt[0].content.startswith("lock/1"):
                    turns[i] = AgentTurn("Hm." if episode.steps else "Action: wait")
            return turns

    with Journal(path) as journal:
        exploration = Exploration(journal, LocalExecutor(pool, lambda _: Fading()))
        with pytest.warns(UserWarning) as told:
            exploration.play(PLANS[:6])
    (warning,) = told
    assert warning.category is TurnsWithoutAction
    assert str(warning.message).startswith("6 of 18 turns had no action (the first one: 'Hm.')")


def play_again(path: Path, pool: EnvironmentPool) -> dict[str, TaskTally]:
    with pytest.warns(TurnsWithoutAction):
        return play(path, pool).tallies


def test_a_few_turns_without_an_action_are_counted_alone(pool: EnvironmentPool, path: Path) -> None:
    class Rarely(Polite):
        def act(self, episodes: Sequence[Episode]) -> Any:
            polite = super().act(episodes)
            plain = RandomPolicy.act(self, episodes)
            return [plain[i] if i else polite[i] for i in range(len(episodes))]

    with Journal(path) as journal, warnings.catch_warnings():
        warnings.simplefilter("error", TurnsWithoutAction)
        warnings.simplefilter("ignore", IdenticalTrajectories)
        exploration = Exploration(journal, LocalExecutor(pool, lambda _: Rarely(others=10**6)))
        exploration.play(PLANS)
    unparsed = [s for t in read_journal(path).trajectories for s in t.steps if not s.action]
    assert 0 < len(unparsed) == sum(t.num_unparsed for t in exploration.tallies.values())


class ShortSighted(RandomPolicy):
    """Can read one of its turns."""

    def act(self, episodes: Sequence[Episode]) -> Any:
        turns = list(super().act(episodes))
        full = ContextExceeded("the model has 100 positions")
        return [full if e.steps else turn for e, turn in zip(episodes, turns, strict=True)]


def test_episodes_cut_short_are_finished_and_told_of(pool: EnvironmentPool, path: Path) -> None:
    with Journal(path) as journal:
        exploration = Exploration(journal, LocalExecutor(pool, lambda _: ShortSighted()))
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            warnings.simplefilter("ignore", IdenticalTrajectories)
            exploration.play(PLANS)
    (warning,) = told
    assert warning.category is EpisodesCutShort
    assert str(warning.message) == (
        f"{len(PLANS)} of {len(PLANS)} episodes ended, as truncated, where the model could read "
        "no further (the first one: the model has 100 positions)"
    )
    tallies = exploration.tallies.values()
    assert sum(t.num_cut_short for t in tallies) == sum(t.num_finished for t in tallies)
