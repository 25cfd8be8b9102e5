"""Where ALFWorld's games are found, and what is said when they are not: no engine needed."""

from __future__ import annotations

import functools
import gzip
import json
import os
import pickle
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from w2stree.environments.alfworld import Alfworld
from w2stree.environments.alfworld.environment import entity_names
from w2stree.environments.alfworld.games import Games, open_games
from w2stree.environments.options import AlfworldOptions
from w2stree.errors import InvalidInput, MissingDependency
from w2stree.rollouts.task_choice import seeded_order

SHARED = Path(__file__).parents[3] / "shared" / "data" / "alfworld"
DATA = Path(os.environ.get("ALFWORLD_DATA", SHARED))
needs_pack = pytest.mark.skipif(
    not (DATA / "logic.json").is_file(),
    reason="no pack of ALFWorld games: set ALFWORLD_DATA or put it in ../shared/data/alfworld",
)

GAMES: dict[str, list[dict[str, Any]]] = {
    "train": [
        {"id": "put-Pen/trial_2", "task": "Your task is to: put a pen.", "gt": ["o", "look", "o"]},
        {"id": "put-Mug/trial_1", "task": "Your task is to: put a mug.", "gt": None},
    ],
    "valid_seen": [{"id": "put-Cup/trial_1", "task": "Your task is to: put a cup.", "gt": None}],
}


def write_pack(root: Path) -> Path:
    root.mkdir(exist_ok=True)
    (root / "logic.json").write_text(
        json.dumps({"pddl_domain": "(domain)", "grammar": 'say "{TASK}"'})
    )
    for split, games in GAMES.items():
        lines = [json.dumps({**game, "pddl_problem": f"({game['id']})"}) for game in games]
        (root / f"{split}.jsonl.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    return root


def write_folders(root: Path) -> Path:
    for split, games in GAMES.items():
        for game in games:
            write_game(
                root / "json_2.1.1" / split / game["id"],
                grammar=f'say "{game["task"]}"',
                pddl_problem=f"({game['id']})",
                walkthrough=game["gt"] and game["gt"][1::2],
            )
    return root


def write_game(folder: Path, **record: Any) -> None:
    folder.mkdir(parents=True)
    record = {"pddl_domain": "(domain)", "solvable": True, **record}
    (folder / "game.tw-pddl").write_text(json.dumps(record))


@pytest.fixture(params=[write_pack, write_folders], ids=["pack", "folders"])
def games(request: pytest.FixtureRequest, tmp_path: Path) -> Games:
    return open_games(request.param(tmp_path))


def test_both_layouts_give_the_same_games_by_the_same_ids(games: Games) -> None:
    assert games.ids("train") == ["train/put-Mug/trial_1", "train/put-Pen/trial_2"]
    assert games.ids("dev") == games.ids("valid_seen") == ["valid_seen/put-Cup/trial_1"]
    game = games.game("train/put-Pen/trial_2")
    assert game.pddl_domain == "(domain)"
    assert game.grammar == 'say "Your task is to: put a pen."'
    assert game.pddl_problem == "(put-Pen/trial_2)"
    assert game.demonstration == ("look",)
    assert games.game("valid_seen/put-Cup/trial_1").demonstration is None


@pytest.mark.parametrize("split", ["test", "valid_unseen"])
def test_a_split_that_is_not_there_is_named_with_its_place(games: Games, split: str) -> None:
    with pytest.raises(InvalidInput, match=r"valid_unseen.*(is missing|no solvable game)"):
        games.ids(split)


@pytest.mark.parametrize(
    ("game_id", "message"),
    [
        ("train/put-Pen/trial_9", "no game 'train/put-Pen/trial_9'"),
        ("put-Pen/trial_2", "expected '<split>/<task>/<trial>'"),
        ("dev/put-Cup/trial_1", "expected '<split>/<task>/<trial>'"),
        ("train/../valid_seen", "expected '<split>/<task>/<trial>'"),
        ("train/put-Pen/trial_2/", "expected '<split>/<task>/<trial>'"),
    ],
)
def test_foreign_ids_are_refused(games: Games, game_id: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        games.game(game_id)


def test_unknown_splits_are_refused(games: Games) -> None:
    with pytest.raises(InvalidInput, match="split is 'validation'; use one of train, dev, test"):
        games.ids("validation")


def test_what_the_engine_does_not_support_is_no_task(tmp_path: Path) -> None:
    train = write_folders(tmp_path) / "json_2.1.1" / "train"
    write_game(train / "unsolvable" / "trial_1", solvable=False)
    # A problem text that quotes the mark is no mark.
    write_game(train / "quoted" / "trial_1", solvable=None, pddl_problem='"solvable": true')
    write_game(train / "pick-Pen-movable" / "trial_1")
    write_game(train / "pick-AppleSliced" / "trial_1")
    assert len(open_games(tmp_path).ids("train")) == 2


def test_the_place_comes_from_the_environment_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALFWORLD_DATA", str(write_pack(tmp_path)))
    assert open_games().ids("dev") == ["valid_seen/put-Cup/trial_1"]
    monkeypatch.delenv("ALFWORLD_DATA")
    with pytest.raises(InvalidInput, match=r"set ALFWORLD_DATA; .*alfworld-download"):
        open_games()


def test_a_directory_of_neither_layout_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"neither json_2.1.1/ .* nor logic.json"):
        open_games(tmp_path)


def test_damaged_games_are_named(tmp_path: Path) -> None:
    folder = write_folders(tmp_path) / "json_2.1.1" / "train" / "put-Mug" / "trial_1"
    game_id = "train/put-Mug/trial_1"
    for text, message in [
        ('{"solvable": true', "game.tw-pddl: not valid JSON"),
        ('["solvable"]', "game.tw-pddl: list; expected an object"),
        ('{"grammar": "", "pddl_problem": ""}', "pddl_domain is NoneType; expected a string"),
    ]:
        (folder / "game.tw-pddl").write_text(text)
        with pytest.raises(InvalidInput, match=message):
            open_games(tmp_path).game(game_id)


def test_damaged_packs_are_named(tmp_path: Path) -> None:
    write_pack(tmp_path)
    (tmp_path / "train.jsonl.gz").write_bytes(gzip.compress(b'{"id": "a/b"}\n{"task": "x"}\n'))
    with pytest.raises(InvalidInput, match=r"train\.jsonl\.gz:2: does not begin with the game's"):
        open_games(tmp_path).ids("train")
    (tmp_path / "logic.json").write_text('{"pddl_domain": 3}')
    with pytest.raises(InvalidInput, match=r"logic\.json: pddl_domain is int"):
        open_games(tmp_path)


def test_entities_are_named_as_the_benchmark_names_them() -> None:
    ids = ["Drawer_bar__minus_1", "Drawer_bar__plus_2", "agent1", "loc_bar_3"]
    ids += ["Sink_bar_1_bar_SinkBasin", "Sink_bar_1_bar_Sinkbasin", "Sink_bar_1"]
    assert entity_names(ids) == {
        "Drawer_bar__minus_1": "Drawer 2",
        "Drawer_bar__plus_2": "Drawer 1",
        "loc_bar_3": "loc 1",
        "Sink_bar_1": "Sink 2",
        "Sink_bar_1_bar_SinkBasin": "Sink 1",
        "Sink_bar_1_bar_Sinkbasin": "Sinkbasin 1",
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [({"expert": "oracle"}, "expert is 'oracle'"), ({"max_steps": 0}, "max_steps is 0")],
)
def test_bad_options_are_named(tmp_path: Path, options: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Alfworld(write_pack(tmp_path), **options)


def test_an_absent_engine_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fast_downward", None)
    with pytest.raises(MissingDependency, match=r"pip install 'w2stree\[alfworld\]'"):
        Alfworld(write_pack(tmp_path))


def test_its_options_make_the_environment(tmp_path: Path) -> None:
    factory = AlfworldOptions(data=tmp_path, expert="planner").factory()
    assert isinstance(factory, functools.partial)
    factory = pickle.loads(pickle.dumps(factory))  # it goes to another process
    assert (factory.func, factory.args) == (Alfworld, (tmp_path,))
    assert factory.keywords == {"expert": "planner", "max_steps": 40}


@needs_pack
def test_a_choice_of_tasks_has_all_six_types() -> None:
    task_type = AlfworldOptions().task_type
    ids = open_games(DATA).ids("train")
    assert {task_type(task_id) for task_id in ids[:260]} == {"look_at_obj_in_light"}
    for count in (6, 60, 260):
        by_type = Counter(map(task_type, seeded_order(ids, 0, task_type)[:count]))
        assert len(by_type) == 6
        assert max(by_type.values()) - min(by_type.values()) <= 1
