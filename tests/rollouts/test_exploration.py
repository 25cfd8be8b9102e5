"""Exploration: every sample once, whatever fails or interrupts, within its budget."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from support.lock import Lock

from bench.faults import environments
from w2stree.environments.gymnasium import GymnasiumEnvironment
from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.errors import (
    ContextExceeded,
    CutReturns,
    EpisodesCutShort,
    ExplorationFailure,
    IdenticalTrajectories,
    JournalError,
    ModelFailure,
    TurnsWithoutAction,
)
from w2stree.policies.protocol import Episode, Sampling
from w2stree.policies.random import RandomPolicy
from w2stree.rollouts.exploration import (
    PAPER_SAMPLINGS,
    Budget,
    Exploration,
    Progress,
    plan_episodes,
)
from w2stree.rollouts.rollout import EpisodePlan
from w2stree.rollouts.tally import TaskTally
from w2stree.trajectories.files import read_trajectories
from w2stree.trajectories.group_commit import GroupCommit
from w2stree.trajectories.journal import Journal, read_journal
from w2stree.trajectories.origin import Origin
from w2stree.trajectories.trajectory import Trajectory
from w2stree.turns.turn import AgentTurn

TASKS = ["lock/0", "lock/1", "lock/2"]
PLANS = plan_episodes(TASKS, [Sampling(), Sampling(0.5), Sampling(model="base")], seed=5)


@pytest.fixture(scope="module")
def pool() -> Iterator[EnvironmentPool]:
    with EnvironmentPool(Lock, 4) as pool:
        yield pool


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "episodes.journal"


def random_policy(model: str) -> RandomPolicy:
    return RandomPolicy()


def play(
    path: Path, pool: EnvironmentPool, plans: Sequence[EpisodePlan] = PLANS, **options: Any
) -> Exploration:
    with Journal(path) as journal:
        exploration = Exploration(journal, pool, random_policy, **options)
        exploration.play(plans)
    return exploration


def rows(path: Path) -> list[str]:
    """Every recorded attempt, whatever the order they ended in."""
    return sorted(t.to_json() for t in read_journal(path).trajectories)


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


class Beyond(Lock):
    """Its score is not on [0, 1]."""

    def step(self, action: str) -> Any:
        *answer, info = super().step(action)
        return *answer, {**info, "score": 5.0}


def test_a_score_that_no_adapter_put_on_the_unit_range_is_an_error(path: Path) -> None:
    with EnvironmentPool(Beyond, 1) as pool:
        play(path, pool, PLANS[:1], max_attempts=1)
    (trajectory,) = read_journal(path).trajectories
    assert trajectory.status == "error"
    assert trajectory.origin.error == "the environment's score is 5; an adapter puts it on [0, 1]"


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
        exploration = play(path, pool, max_attempts=2)
        assert exploration.tallies["lock/1"].num_errors == 6
        assert exploration.tallies["lock/1"].num_finished == 0
        rest = read_trajectories(path)
        assert sorted(t.status for t in rest if t.task_id == "lock/1") == ["error"] * 3
        assert len(rest) == len(PLANS)
        before = rows(path)
        play(path, pool, max_attempts=2)
        assert rows(path) == before
        play(path, pool, max_attempts=4)
    assert {t.status for t in read_trajectories(path)} <= {"done", "truncated"}
    assert len(rows(path)) == len(PLANS) + 7


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
        exploration = Exploration(journal, pool, lambda _: policy, max_attempts=2)
        with pytest.raises(ExplorationFailure, match=r"^50 episodes in a row .*refused"):
            exploration.play(plans)
    monkeypatch.undo()
    errors = [t for t in read_journal(path).trajectories if t.status == "error"]
    assert len(errors) == 50  # all that ended are recorded
    tallies = play(path, pool, plans, max_attempts=2).tallies.values()
    assert sum(tally.num_finished for tally in tallies) == len(plans)


class Talking(RandomPolicy):
    """Random play that says ten tokens a turn."""

    def act(self, episodes: Sequence[Episode]) -> Any:
        return [AgentTurn(t.response, tuple(range(10))) for t in super().act(episodes)]  # type: ignore[union-attr]


def test_the_token_budget_starts_nothing_more(pool: EnvironmentPool, path: Path) -> None:
    with Journal(path) as journal:
        exploration = Exploration(journal, pool, lambda _: Talking(), budget=Budget(tokens=100))
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
        Exploration(journal, pool, policy).play(PLANS)
    assert asked == ["tuned", "base"]
    recorded = read_journal(path).trajectories
    assert all(t.origin.policy == t.origin.model for t in recorded)
    assert sum(t.origin.policy == "base" for t in recorded) == 3


class Stubborn(RandomPolicy):
    def act(self, episodes: Sequence[Episode]) -> Any:
        return [AgentTurn("Action: turn left") for _ in episodes]


def test_samples_that_coincide_are_warned_of(pool: EnvironmentPool, path: Path) -> None:
    with Journal(path) as journal:
        exploration = Exploration(journal, pool, lambda _: Stubborn())
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
        exploration = Exploration(journal, pool, lambda _: Polite(others=10**6))
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
        exploration = Exploration(journal, pool, lambda _: Rarely(others=10**6))
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
        exploration = Exploration(journal, pool, lambda _: ShortSighted())
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


def test_episodes_are_acknowledged_in_groups_and_in_order(path: Path) -> None:
    episodes = [Trajectory("t", (), (), 0.0, "done", Origin(i)) for i in range(500)]
    with Journal(path) as journal:
        with GroupCommit(journal) as committer:
            for trajectory in episodes:
                committer.append(trajectory)
        assert committer.acknowledged() == episodes
        assert committer.acknowledged() == []
    assert read_journal(path).trajectories == tuple(episodes)
