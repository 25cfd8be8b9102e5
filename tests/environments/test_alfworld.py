"""ALFWorld behind its process: real games, the real engine.

The data are `$ALFWORLD_DATA` or `../shared/data/alfworld`; recorded answers are the pack's.
"""

from __future__ import annotations

import functools
import json
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("textworld")
pytest.importorskip("fast_downward")

from w2stree.environments.alfworld import Alfworld
from w2stree.environments.alfworld.engine import keep_work, publish_work
from w2stree.environments.alfworld.environment import entity_names
from w2stree.environments.alfworld.games import GamePack, open_games
from w2stree.environments.hosting.process import EnvironmentProcess
from w2stree.errors import EnvironmentFailure

SHARED = Path(__file__).parents[3] / "shared" / "data" / "alfworld"
DATA = Path(os.environ.get("ALFWORLD_DATA", SHARED))

pytestmark = pytest.mark.skipif(
    not (DATA / "logic.json").is_file(),
    reason="no pack of ALFWorld games: set ALFWORLD_DATA or put it in ../shared/data/alfworld",
)


@pytest.fixture(scope="module")
def pack() -> GamePack:
    games = open_games(DATA)
    assert isinstance(games, GamePack)
    return games


@pytest.fixture(scope="module")
def world(pack: GamePack) -> Iterator[Alfworld]:
    """Without a step limit in the way: some recorded demonstrations are longer than 40."""
    world = Alfworld(DATA, max_steps=200)
    yield world
    world.close()


def recorded(pack: GamePack, task_id: str) -> list[str]:
    """The pack's transcript: observation, command, observation, …"""
    split, _, name = task_id.partition("/")
    lines, offsets = pack._index(split)
    return list(json.loads(lines.line(offsets[name]))["gt"])


def sample(pack: GamePack, split: str, size: int) -> list[str]:
    return random.Random(0).sample(pack.ids(split), size)


def play(world: Alfworld, task_id: str, commands: list[str]) -> list[Any]:
    """Everything the environment says, to the end."""
    return [world.reset(task_id), *(world.step(command) for command in commands)]


def short(pack: GamePack, size: int) -> list[str]:
    """Seeded games with demonstrations of at most ten commands, for what plays them often."""
    shuffled = sample(pack, "train", 60)
    return [i for i in shuffled if len(recorded(pack, i)) <= 21][:size]


def assert_recorded_play_wins(world: Alfworld, pack: GamePack, task_id: str) -> None:
    opening, *turns = recorded(pack, task_id)
    statement, info = world.reset(task_id)
    assert statement == opening.split("\n\n", 1)[1].replace("\n\n", "\n")
    assert "Your task is to: " in statement.splitlines()[-1]
    commands, answers = turns[::2], turns[1::2]
    assert [turn.action for turn in world.expert()] == commands
    total_reward = 0.0
    for command, answer in zip(commands, answers, strict=True):
        actions = info["admissible_actions"]
        assert command in actions
        assert actions == sorted(set(actions))
        assert info["score"] == 0.0
        observation, reward, terminated, truncated, info = world.step(command)
        total_reward += reward
        assert observation == answer
        assert not truncated
    assert (terminated, total_reward, info["score"]) == (True, 1.0, 1.0)


def test_recorded_demonstrations_get_the_recorded_answers_and_win(
    world: Alfworld, pack: GamePack
) -> None:
    for task_id in sample(pack, "train", 6):
        assert_recorded_play_wins(world, pack, task_id)


@pytest.mark.slow
def test_two_hundred_recorded_demonstrations_win(world: Alfworld, pack: GamePack) -> None:
    for task_id in sample(pack, "train", 200):
        assert_recorded_play_wins(world, pack, task_id)


def test_kept_work_changes_no_answer(world: Alfworld, pack: GamePack) -> None:
    scripts = {
        task_id: ["look", "fly", *recorded(pack, task_id)[1::2], "inventory"]
        for task_id in short(pack, 3)
    }
    kept = [play(world, task_id, commands) for task_id, commands in scripts.items()]
    publish_work()
    try:
        fresh = Alfworld.__new__(Alfworld)  # its constructor would keep the work again
        fresh.__dict__.update(world.__dict__, _task_id=None)
        published = [play(fresh, task_id, commands) for task_id, commands in scripts.items()]
    finally:
        keep_work()
        world._task_id = None
    assert kept == published
    assert len(kept) == 3


def test_answers_do_not_depend_on_the_process(
    pack: GamePack, monkeypatch: pytest.MonkeyPatch
) -> None:
    (task_id,) = short(pack, 1)
    plays = []
    for seed in ("1", "2"):  # the order of Python's sets and dictionaries of strings
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        with EnvironmentProcess(functools.partial(Alfworld, DATA)) as process:
            process.send("reset", task_id)
            plays.append([process.receive()])
            for turn in process.call("expert"):
                plays[-1].append(process.call("step", turn.action))
    assert plays[0] == plays[1]
    assert plays[0][-1][2]


def test_unknown_commands_cost_a_step_and_the_limit_truncates(pack: GamePack) -> None:
    world = Alfworld(DATA, max_steps=2)
    with pytest.raises(EnvironmentFailure, match="call reset"):
        world.step("look")
    (task_id,) = short(pack, 1)
    world.reset(task_id)
    observation, reward, terminated, truncated, _ = world.step("")
    assert (observation, reward, terminated, truncated) == ("Nothing happens.", 0.0, False, False)
    observation, _, terminated, truncated, _ = world.step("put all away")
    assert (observation, terminated, truncated) == ("Nothing happens.", False, True)
    world.reset(task_id)  # the same game again, at its start
    assert world.step("look")[2:4] == (False, False)
    world.close()
    world.close()


def test_the_planner_solves_what_records_no_demonstration(pack: GamePack) -> None:
    # The planner's searches take from half a second to a minute; this one is short.
    name = "pick_and_place_simple-CreditCard-None-Drawer-227/trial_T20190909_010644_297017"
    task_id = f"valid_seen/{name}"
    assert task_id in pack.ids("dev")
    stored = Alfworld(DATA)
    stored.reset(task_id)
    with pytest.raises(EnvironmentFailure, match="records no demonstration; use expert='planner'"):
        stored.expert()
    stored.close()
    assert_planner_wins(Alfworld(DATA, expert="planner"), [task_id])


@pytest.mark.slow
def test_the_planner_solves_the_dev_split(pack: GamePack) -> None:
    assert_planner_wins(Alfworld(DATA, expert="planner"), pack.ids("dev"))


def assert_planner_wins(world: Alfworld, task_ids: list[str]) -> None:
    for task_id in task_ids:
        statement = world.reset(task_id)
        plan = [turn.action for turn in world.expert()]
        outcomes = play(world, task_id, plan)
        assert outcomes[0] == statement
        assert [outcome[2] for outcome in outcomes[1:]] == [False] * (len(plan) - 1) + [True]
    world.close()


def test_the_official_layout_plays_the_same(
    world: Alfworld, pack: GamePack, tmp_path: Path
) -> None:
    (task_id,) = short(pack, 1)
    write_official(pack, task_id, tmp_path)
    official = Alfworld(tmp_path, max_steps=200)
    assert official.tasks("train") == [task_id]
    commands = recorded(pack, task_id)[1::2]
    assert play(official, task_id, commands) == play(world, task_id, commands)
    assert official.expert() == world.expert()
    official.close()


def write_official(pack: GamePack, task_id: str, root: Path) -> None:
    """The game as `alfworld-download` lays it out."""
    game = pack.game(task_id)
    folder = root / "json_2.1.1" / task_id
    folder.mkdir(parents=True)
    record = {
        "pddl_domain": game.pddl_domain,
        "grammar": game.grammar,
        "pddl_problem": game.pddl_problem,
        "solvable": True,
        "walkthrough": list(game.demonstration or ()),
    }
    (folder / "game.tw-pddl").write_text(json.dumps(record))


def test_names_are_those_of_the_benchmark_s_package(
    world: Alfworld, pack: GamePack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ALFWORLD_DATA", str(tmp_path))  # importing alfworld makes this folder
    misc: Any = pytest.importorskip("alfworld.agents.utils.misc")
    for task_id in short(pack, 2):
        world.reset(task_id)
        entities = world._engine._entity_infos
        official: Callable[[str], str] = misc.Demangler(game_infos=entities).demangle_alfred_name
        names = entity_names(entities)
        assert len(names) > 50
        assert names == {entity_id: official(entity_id) for entity_id in names}
