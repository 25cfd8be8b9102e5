"""Users' own environments, in every shape they come in."""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from w2stree.environments.gymnasium import GymnasiumEnvironment
from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.environments.hosting.process import EnvironmentProcess
from w2stree.environments.options import GymnasiumOptions
from w2stree.errors import EnvironmentFailure, InvalidInput, MissingDependency, ModelFailure
from w2stree.policies.expert import ExpertPolicy
from w2stree.policies.protocol import Episode, Sampling
from w2stree.policies.random import RandomPolicy
from w2stree.rollouts.rollout import EpisodePlan, rollout
from w2stree.turns.turn import AgentTurn

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def test_a_five_tuple_with_text() -> None:
    game = GymnasiumEnvironment("support.games:Doors", score_range=(0, 4))
    statement, info = game.reset("Doors/dev/10001")
    assert (statement, info) == (
        "2 doors are before you.",
        {"score": 0.0, "admissible_actions": ["open", "wait"]},
    )
    assert game.step("dance")[:4] == ("2 doors.", 0.0, False, False)
    assert game.step("open")[:4] == ("1 doors.", 0.25, False, False)
    observation, reward, terminated, truncated, info = game.step("open")
    assert (observation, reward, terminated, truncated) == ("0 doors.", 0.25, True, False)
    assert info["score"] == 0.5


@pytest.mark.parametrize("key", ["admissible_commands", "admissible_actions", "valid_actions"])
def test_admissible_actions_are_found_and_sorted(key: str) -> None:
    game = GymnasiumEnvironment("support.games:Doors", {"admissible": key})
    assert game.reset("Doors/train/0")[1]["admissible_actions"] == ["open", "wait"]


def test_the_step_limit_truncates_unless_the_game_ends_there() -> None:
    game = GymnasiumEnvironment("support.games:Doors", max_steps=2)
    game.reset("Doors/train/1")
    game.step("open")
    assert game.step("open")[2:4] == (True, False)
    game.reset("Doors/train/1")
    game.step("wait")
    assert game.step("open")[2:4] == (False, True)


def test_discrete_actions_have_names() -> None:
    game = GymnasiumEnvironment(
        "support.games:Buttons", score_range=(-4, 0), action_names=("stay", "go")
    )
    statement, info = game.reset("Buttons/test/20003")
    assert (statement, info["score"]) == ("4", 1.0)
    assert info["admissible_actions"] == ["go", "stay"]
    observation, reward, *ended, _ = game.step("jump")  # not passed on: no reward
    assert (observation, reward, ended) == (
        "Unknown action. The actions are: stay, go", 0.0, [False, False],
    )  # fmt: skip
    assert game.step("go")[:4] == ("3", -0.25, False, False)
    assert game.step("stay")[:4] == ("3", -0.25, False, False)
    assert game.step("go")[:4] == ("2", -0.25, False, False)
    *ended, info = game.step("go")[2:]
    assert ended == [False, True]  # its own time limit
    assert info["score"] == 0.0


def test_actions_without_names_are_numbers() -> None:
    game = GymnasiumEnvironment("support.games:Buttons")
    assert game.reset("Buttons/train/5")[1]["admissible_actions"] == ["0", "1"]
    assert game.step("1")[0] == "5"


def test_sums_beyond_the_range_are_cut_and_told() -> None:
    game = GymnasiumEnvironment("support.games:Buttons", score_range=(-2, 0))
    game.reset("Buttons/train/3")
    infos = [game.step("1")[4] for _ in range(3)]
    assert [info["score"] for info in infos] == [0.5, 0.0, 0.0]
    assert [info.get("raw_score") for info in infos] == [None, None, -3.0]


def test_an_infinite_reward_is_no_success() -> None:
    game = GymnasiumEnvironment("support.games:Doors")
    game.reset("Doors/train/0")
    with pytest.raises(EnvironmentFailure, match="sum of rewards is inf; expected a finite"):
        game.step("everything")


def test_texts_are_neither_truths_nor_lists() -> None:
    game = GymnasiumEnvironment("support.games:Doors")
    game.reset("Doors/train/0")
    with pytest.raises(EnvironmentFailure, match="terminated is 'no'; expected true or false"):
        game.step("no end")
    with pytest.raises(EnvironmentFailure, match="the actions are 'open'; expected a list"):
        game.step("say")


@pytest.mark.parametrize("nested", [False, True])
def test_arrays_are_written_out_whole_and_exact(nested: bool) -> None:
    game = GymnasiumEnvironment("support.games:Arrays", {"nested": nested})
    first, _ = game.reset("Arrays/train/0")
    seen = [game.step("1")[0] for _ in range(3)]
    assert len({first, *seen}) == 3 + 1 and "..." not in first
    numbers = [float(text) for text in re.findall(r"\d+\.\d*(?:e-?\d+)?", first)]
    assert len(numbers) == 5000
    assert np.float32(numbers[2500]) == np.float32(0.1) + 9 * np.float32(2**-27)


def test_pictures_are_refused_with_the_fix() -> None:
    game = GymnasiumEnvironment("support.games:Arrays", {"size": 10_001})
    with pytest.raises(InvalidInput, match=r"10,001 numbers .* answers in words, or .*ansi"):
        game.reset("Arrays/train/0")


def test_an_action_mask_rules_actions_out() -> None:
    game = GymnasiumEnvironment("support.games:Masked", action_names=("stay", "go"))
    assert game.reset("Masked/train/5")[1]["admissible_actions"] == ["go", "stay"]
    assert game.step("go")[4]["admissible_actions"] == ["go"]


def test_a_generator_function() -> None:
    game = GymnasiumEnvironment("support.games:counting", {"upto": 2})
    assert game.reset("counting/train/0")[0] == "Count to 2."
    assert game.step("say")[1] == 0.5
    assert game.step("say")[:4] == ("Done.", 0.5, True, False)
    game.reset("counting/train/0")  # a new episode, whatever became of the last
    observation, reward, terminated, _, info = game.step("stop")
    assert (observation, reward, terminated) == ("You stopped.", 0.0, True)
    assert info["admissible_actions"] == []
    game.close()
    game.close()


def test_splits_share_no_seed_and_scores_outside_the_range_are_cut() -> None:
    game = GymnasiumEnvironment("support.games:Doors")
    tasks = {split: game.tasks(split) for split in ("train", "dev", "test")}
    seeds = {split: {t.rpartition("/")[2] for t in ids} for split, ids in tasks.items()}
    assert [len(s) for s in seeds.values()] == [1000] * 3
    assert not seeds["train"] & seeds["dev"] | seeds["train"] & seeds["test"]
    game.reset("Doors/train/1")
    game.step("open")
    assert game.step("open")[4]["score"] == 1.0  # the sum is 2


def test_an_environment_s_own_tasks() -> None:
    game = GymnasiumEnvironment("support.games:Named")
    assert game.tasks("dev") == ["dev-short", "dev-long"]
    assert game.reset("dev-short")[0] == "1 doors are before you."
    assert game.reset("dev-long")[0] == "5 doors are before you."


@pytest.mark.parametrize(
    ("make", "settings", "message"),
    [
        ("games", {}, "write module:callable"),
        ("no_such_module:game", {}, "No module named 'no_such_module'"),
        ("support.games:Chess", {}, "games has no Chess"),
        ("support.games:not_callable", {}, "no callable but int"),
        ("support.games:Doors", {"options": {"doors": 3}}, r"options \['doors'\]: .*'doors'"),
        ("support.games:counting", {"options": {"to": 3}}, r"options \['to'\]: .*'to'"),
        ("builtins:dict", {}, "dict has no method 'reset'"),
        ("support.games:Analog", {}, "action space is Box"),
        ("support.games:Buttons", {"action_names": ("go",)}, "2 actions, but the names are"),
        ("support.games:Doors", {"action_names": ("go",)}, "this one takes text"),
        ("support.games:Doors", {"score_range": (1, 1)}, "give worst, then best"),
        ("support.games:Doors", {"max_steps": 0}, "max_steps is 0"),
    ],
)
def test_what_cannot_be_made_is_named(make: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        GymnasiumEnvironment(make, **settings)


def test_what_cannot_be_played_is_named() -> None:
    game = GymnasiumEnvironment("support.games:Unseeded")
    with pytest.raises(InvalidInput, match="every task would be the same"):
        game.reset("Unseeded/train/0")
    with pytest.raises(EnvironmentFailure, match=r"returned 2 values; expected observation, rew"):
        game.step("go")
    old = GymnasiumEnvironment("support.games:Old")
    old.reset("Old/train/0")
    with pytest.raises(EnvironmentFailure, match=r"returned 4 values; .* as Gymnasium has it"):
        old.step("1")
    with pytest.raises(EnvironmentFailure, match=r"Bare.reset returned int; expected observation"):
        GymnasiumEnvironment("support.games:Bare").reset("Bare/train/0")
    doors = GymnasiumEnvironment("support.games:Doors")
    doors.reset("Doors/train/0")
    with pytest.raises(EnvironmentFailure, match="sum of rewards is nan; expected a finite"):
        doors.step("nothing")
    for task_id in ("Named/train/0", "Doors/all/0", "Doors/train/x"):
        with pytest.raises(InvalidInput, match="expected 'Doors/<split>/<seed>'"):
            doors.reset(task_id)
    with pytest.raises(InvalidInput, match="split is 'all'"):
        doors.tasks("all")
    talk = GymnasiumEnvironment("support.games:counting")
    with pytest.raises(EnvironmentFailure, match="call reset"):
        talk.step("say")
    talk.reset("counting/train/0")
    with pytest.raises(EnvironmentFailure, match="the game returned None"):
        talk.step("break")


def test_a_configuration_names_the_game() -> None:
    options = GymnasiumOptions(
        make="support.games:Buttons",
        score_range=(-2, 0),
        action_names=("a", "b"),
    )
    _, info = options.factory()().reset("Buttons/train/0")
    assert info == {"score": 1.0, "admissible_actions": ["a", "b"]}


def test_gymnasium_itself_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(MissingDependency, match=r"pip install 'w2stree\[gymnasium\]'"):
        GymnasiumEnvironment("gymnasium:make", {"id": "FrozenLake-v1"})


def test_an_error_of_the_user_s_code_is_a_failure_with_its_cause() -> None:
    factory = functools.partial(GymnasiumEnvironment, "support.games:Doors")
    with EnvironmentProcess(factory) as process:
        process.call("reset", "Doors/train/0")
        with pytest.raises(EnvironmentFailure, match="RuntimeError: out of powder"):
            process.call("step", "explode")


def test_a_published_environment() -> None:
    pytest.importorskip("gymnasium")
    names = ("left", "down", "right", "up")
    options = {"id": "FrozenLake-v1", "is_slippery": False, "render_mode": "ansi"}
    game = GymnasiumEnvironment("gymnasium:make", options, action_names=names)
    statement, info = game.reset("FrozenLake-v1/train/0")
    assert "FFFH" in statement  # the lake, as drawn
    assert info["admissible_actions"] == ["down", "left", "right", "up"]
    for action in ("down", "down", "right", "right", "down"):
        assert game.step(action)[2:4] == (False, False)
    _, reward, terminated, _, info = game.step("right")
    assert (reward, terminated, info["score"]) == (1.0, True, 1.0)
    game.close()


def test_a_published_environment_s_action_mask() -> None:
    gymnasium = pytest.importorskip("gymnasium")
    taxi = max(name for name in gymnasium.registry if name.startswith("Taxi-v"))
    names = ("south", "north", "east", "west", "pick up", "put down")
    game = GymnasiumEnvironment(
        "gymnasium:make", {"id": taxi, "render_mode": "ansi"}, action_names=names
    )
    _, info = game.reset(f"{taxi}/train/0")
    assert 0 < len(info["admissible_actions"]) < 6
    before = info["admissible_actions"]
    assert set(before) <= set(names)
    game.close()


def test_the_example_game_is_played_into_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    factory = functools.partial(GymnasiumEnvironment, "own_environment:treasure", max_steps=12)
    with EnvironmentProcess(factory) as process:
        tasks = process.call("tasks", "train")[:2]
        process.call("reset", tasks[0])
        assert process.call("step", "fly")[0] == "You cannot do that."
    plans = [EpisodePlan(task, i, Sampling(), seed=0) for task in tasks for i in range(6)]

    def play(size: int) -> dict[Any, Any]:
        with EnvironmentPool(factory, size) as pool:
            played = list(rollout(pool, RandomPolicy(), plans, instruction="Open the chest."))
        return {(t.task_id, t.origin.sample_index): t for t in played}

    played = play(2)
    assert played == play(1)
    assert {t.status for t in played.values()} == {"done", "truncated"}
    assert {t.total_return for t in played.values()} <= {0.0, 0.5, 1.0}
    for trajectory in played.values():
        assert (trajectory.status == "done") == (trajectory.total_return == 1.0)


@pytest.mark.parametrize(("multi_line", "written"), [(True, "write\none\ntwo"), (False, "write")])
def test_an_action_has_as_many_lines_as_the_environment_takes(
    multi_line: bool, written: str
) -> None:
    class Writer(RandomPolicy):
        def act(self, episodes: Sequence[Episode]) -> list[AgentTurn | ModelFailure]:
            return [AgentTurn("Thought: two.\nAction: write\none\ntwo\n") for _ in episodes]

    options = GymnasiumOptions(make="support.games:notebook", multi_line=multi_line)
    with options.pool() as pool:
        plan = EpisodePlan("notebook/train/0", 0, Sampling(), 0)
        (played,) = rollout(pool, Writer(), [plan], instruction="")
    assert [step.action for step in played.steps] == [written]
    assert played.total_return == float(multi_line)


@pytest.mark.parametrize("game", ["Doors", "Named"])
def test_an_expert_of_one_s_own_solves_seeds_and_own_tasks(game: str) -> None:
    options = GymnasiumOptions(
        make=f"support.games:{game}", expert="support.games:opens_all", score_range=(0.0, 10.0)
    )
    assert options.has_expert
    assert "expert: 'support.games:opens_all', imported" in options.code
    with options.pool() as pool:
        tasks = pool[0].call("tasks", "train")[:2]
        plans = [EpisodePlan(task, 0, Sampling(), 0) for task in tasks]
        played = list(rollout(pool, ExpertPolicy(), plans, instruction=""))
    assert {t.status for t in played} == {"done"}
    assert {t.steps[0].response for t in played} == {"Thought: They open outwards.\nAction: open"}


def test_an_expert_that_is_not_there_or_says_no_actions_is_named() -> None:
    without = GymnasiumEnvironment("support.games:Doors")
    assert not GymnasiumOptions(make="support.games:Doors").has_expert
    with pytest.raises(InvalidInput, match=r"support.games:Doors has no expert: set environment.e"):
        without.expert()
    with pytest.raises(InvalidInput, match=r"expert is 'support.games:nobody': .* has no nobody"):
        GymnasiumEnvironment("support.games:Doors", expert="support.games:nobody")
    numbers = GymnasiumEnvironment("support.games:Doors", expert="builtins:range")
    with pytest.raises(EnvironmentFailure, match="no task is loaded"):
        numbers.expert()
    numbers.reset("Doors/train/3")
    with pytest.raises(EnvironmentFailure, match=r"says 0; expected an action, or \(thought, act"):
        numbers.expert()
