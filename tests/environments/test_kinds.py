"""The table of environments: whole, true to pyproject.toml, and enough to title a report."""

from __future__ import annotations

import pickle
import tomllib
from pathlib import Path
from typing import Any

import pytest

from w2stree.environments.kinds import KINDS, Kind, kind_named, kind_of
from w2stree.environments.options import (
    AlfworldOptions,
    GymnasiumOptions,
    Options,
    ScienceWorldOptions,
    TextWorldExpressOptions,
    WebShopOptions,
)
from w2stree.errors import InvalidInput, MissingDependency

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
REQUIRED: dict[str, dict[str, Any]] = {
    "textworld_express": {"game": "twc"},
    "gymnasium": {"make": "support.games:counting"},
}


def options_of(kind: Kind) -> Options:
    return kind.options(**REQUIRED.get(kind.name, {}))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_row_is_whole(kind: Kind) -> None:
    options = options_of(kind)
    assert options.name == kind.name
    assert kind_of(options) is kind is kind_named(kind.name)
    assert options.title
    assert options.settings[-1].endswith(("steps an episode", "own step limit"))
    assert options.decoding.actions in ("admissible", "free")
    assert pickle.loads(pickle.dumps(options.factory())).func is options.factory().func
    assert bool(kind.checks) == options.has_expert
    assert all(isinstance(check, kind.options) for check in kind.checks)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_its_extra_brings_its_package(kind: Kind) -> None:
    extras = tomllib.loads(PYPROJECT.read_text())["project"]["optional-dependencies"]
    assert any(need.startswith(kind.package) for need in extras[kind.extra])


def test_titles_and_settings_are_what_was_set() -> None:
    game = TextWorldExpressOptions(game="coin", params={"numLocations": 2}, max_steps=9)
    assert game.title == "coin"
    assert game.settings == ["game settings: numLocations 2", "at most 9 steps an episode"]
    assert TextWorldExpressOptions(game="coin").settings[0] == "the game's own settings"
    science = ScienceWorldOptions(split_file=Path("lists/eto.json"))
    assert science.title == "ScienceWorld"
    assert science.settings == [
        "simplification easy", "split file eto.json", "each task's own step limit"
    ]  # fmt: skip
    lake = GymnasiumOptions(make="gymnasium:make", options={"id": "FrozenLake-v1"})
    assert lake.title == "FrozenLake-v1"
    assert WebShopOptions().settings == ["synthetic goals", "at most 10 steps an episode"]


def test_an_environment_that_lists_nothing_is_decoded_freely() -> None:
    assert ScienceWorldOptions().decoding.actions == "free"
    assert ScienceWorldOptions(list_actions=True).decoding.actions == "admissible"
    assert WebShopOptions().decoding.actions == "free"
    assert TextWorldExpressOptions(game="twc").decoding.actions == "admissible"


def test_more_tasks_than_a_fold_has_are_refused() -> None:
    TextWorldExpressOptions(game="twc").refuse_too_many(1000)
    with pytest.raises(InvalidInput, match="1001 tasks of one fold are asked for; twc has 1000"):
        TextWorldExpressOptions(game="twc").refuse_too_many(1001)
    ScienceWorldOptions().refuse_too_many(10_000)  # its folds are as long as the split file


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"game": "chess"}, "game is 'chess'; TextWorldExpress has"),
        ({"game": "twc", "max_steps": 0}, "max_steps is 0; give at least 1"),
        ({"game": "twc", "num_processes": 0}, "num_processes is 0; give at least 1"),
    ],
)
def test_options_that_nothing_can_play_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        TextWorldExpressOptions(**options)


def test_what_is_absent_is_named() -> None:
    with pytest.raises(InvalidInput, match="no environment 'chess'; there are textworld_express"):
        kind_named("chess")
    absent = Kind(name="x", options=Options, package="x", module="no_such_module", extra="y")
    assert absent.version() is None
    with pytest.raises(MissingDependency, match=r"x is not installed: pip install 'w2stree\[y\]'"):
        absent.require()


def test_ids_tell_a_task_s_type() -> None:
    alfworld = "train/pick_and_place_simple-Mug-None-Desk-308/trial_T20190909_210238_431966"
    assert AlfworldOptions().task_type(alfworld) == "pick_and_place_simple"
    assert ScienceWorldOptions().task_type("scienceworld/boil/21") == "boil"
    assert TextWorldExpressOptions(game="twc").task_type("twc/train/1") == ""
    assert "valid_unseen" in AlfworldOptions().splits
