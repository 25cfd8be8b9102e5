"""Bad answers of games and of policies cost their own episodes, never the run."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from support.lock import Lock

from bench.faults import bad_answers, games
from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.errors import InvalidInput, ModelFailure
from w2stree.policies.protocol import Episode, Sampling
from w2stree.policies.random import RandomPolicy
from w2stree.rollouts.rollout import EpisodePlan, rollout
from w2stree.rollouts.verification import verify
from w2stree.trajectories.trajectory import Message, Step, Trajectory
from w2stree.turns.turn import AgentTurn

ANSWERS = bad_answers.BAD_ANSWERS
SOME = range(0, len(ANSWERS), 8)


def test_there_are_many_of_them_each_by_its_name() -> None:
    assert len(ANSWERS) >= 110
    assert len({bad.name for bad in ANSWERS}) == len(ANSWERS)


def test_a_bad_answer_costs_its_own_episode_and_the_run_goes_on(tmp_path: Path) -> None:
    assert games.play(tmp_path, SOME) == {}


def test_so_it_does_where_episodes_proceed_on_their_own(tmp_path: Path) -> None:
    awaited = [number for number in SOME if ANSWERS[number].moment != "expert"]
    assert games.play(tmp_path, awaited[::2], is_async=True) == {}


@pytest.mark.slow  # pytest -m slow tests/rollouts/test_bad_answers.py: two minutes
def test_all_of_them(tmp_path: Path) -> None:
    assert [row.note for row in games.rows(tmp_path)] == ["", ""]


def number_of(name: str) -> int:
    return next(i for i, bad in enumerate(ANSWERS) if bad.name == name)


def test_a_start_from_a_node_and_a_replay_meet_it_as_an_episode_does() -> None:
    """Branching goes through `restore`, verification through `reset` and `step`."""
    foul = f"foul/{number_of('score: NaN')}"
    steps = (Step("go", "room 1"), Step("go", "end"))
    recorded = Trajectory(foul, (Message("user", "Two doors."),), steps, 1.0, "done")
    with EnvironmentPool(bad_answers.Foul, 1) as pool:
        plan = EpisodePlan(foul, 0, Sampling(), 0, prefix=steps)
        (branched,) = rollout(pool, RandomPolicy(), [plan], instruction="")
        ((_, differences),) = verify(pool, [recorded])
    assert isinstance(branched, Trajectory)
    assert branched.status == "error"
    # What is played again differs from what was recorded, before its answer is looked at.
    assert "replayed step 2" in str(branched.origin.error) or "is nan" in str(branched.origin.error)
    assert [(d.what, d.recorded) for d in differences] == [("failure", "an answer")]
    assert "info['score'] is nan" in differences[0].replayed


class Says(RandomPolicy):
    """Says one thing where the first task is played, and plays at random elsewhere."""

    def __init__(self, said: Any) -> None:
        super().__init__()
        self._said = said

    def act(self, episodes: Sequence[Episode]) -> list[Any]:
        usual = super().act(episodes)
        return [
            self._said if "lock/0" in episode.prompt[0].content else turn
            for episode, turn in zip(episodes, usual, strict=True)
        ]


class SaysInTurn:
    name, tokenizer, needs_expert = "says", None, False

    def __init__(self, said: Any) -> None:
        self._says = Says(said)

    async def turn(self, episode: Episode) -> Any:
        await asyncio.sleep(0)
        return self._says.act([episode])[0]

    async def close(self) -> None:
        pass


PLANS = [EpisodePlan(f"lock/{i}", 0, Sampling(), 0) for i in range(2)]
BAD_TURNS: list[tuple[dict[str, Any], str]] = [
    ({"response": None}, "response is NoneType; expected a string"),
    ({"response": b"Action: up"}, "response is bytes; expected a string"),
    ({"token_ids": ("a",)}, r"token_ids\[0\] is 'a'; expected an integer"),
    ({"token_ids": (1.5,)}, r"token_ids\[0\] is 1.5; expected an integer"),
    ({"token_ids": 7}, "token_ids is int; expected an array"),
    ({"token_ids": (1,), "logprobs": (None,)}, r"logprobs\[0\] is None; expected a finite number"),
    ({"token_ids": (1,), "logprobs": (-math.inf,)}, r"logprobs\[0\] is -inf; expected a finite"),
    ({"token_ids": (1, 2), "logprobs": (-1.0,)}, "2 token_ids but 1 logprobs"),
    ({"tool_calls": ("clock",)}, r"tool_calls\[0\] is 'clock'; expected ToolCall"),
    ({"is_cut": "no"}, "is_cut is 'no'; expected true or false"),
    ({"num_tokens": "12"}, "num_tokens is '12'; expected an integer"),
]


@pytest.mark.parametrize("kind", [Says, SaysInTurn])
def test_a_turn_that_no_step_can_hold_fails_its_episode_alone(
    kind: type[Any], pool: EnvironmentPool
) -> None:
    for fields, told in BAD_TURNS:
        turn = AgentTurn(**{"response": "Action: up", **fields})
        played = list(rollout(pool, kind(turn), PLANS, instruction=""))
        by_task = {t.task_id: t for t in played if isinstance(t, Trajectory)}
        assert by_task["lock/1"].status in ("done", "truncated")
        assert by_task["lock/0"].status == "error"
        assert str(by_task["lock/0"].origin.error).startswith("the policy's turn cannot be kept: ")
        with pytest.raises(ModelFailure, match=told):
            raise ModelFailure(str(by_task["lock/0"].origin.error))
        assert all(Trajectory.from_json(t.to_json()) == t for t in by_task.values())


@pytest.mark.parametrize("kind", [Says, SaysInTurn])
def test_what_is_no_turn_is_the_programmers_mistake(kind: type[Any], pool: EnvironmentPool) -> None:
    with pytest.raises(InvalidInput, match="the policy answered 'up'; expected an AgentTurn or a"):
        list(rollout(pool, kind("up"), PLANS, instruction=""))


class Silent(RandomPolicy):
    def act(self, episodes: Sequence[Episode]) -> list[Any]:
        return []


def test_a_policy_answers_every_episode() -> None:
    with (
        EnvironmentPool(Lock, 1) as pool,
        pytest.raises(InvalidInput, match="random gave 0 turns for 1 episodes"),
    ):
        list(rollout(pool, Silent(), PLANS, instruction=""))
