"""A run directory from anybody: what of it is code is said, and run for who trusts it alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pydantic")

from w2stree.cli.app import main
from w2stree.environments.kinds import KINDS
from w2stree.environments.options import GymnasiumOptions
from w2stree.errors import InvalidInput
from w2stree.experiment.recorded_run import read_run

ROW = {
    "task_id": "t",
    "prompt": [{"role": "user", "content": "go"}],
    "steps": [{"action": "a", "observation": "o"}],
    "total_return": 1.0,
    "status": "done",
}


def write_run(folder: Path, environment: dict[str, Any]) -> Path:
    stage = folder / "explore"
    stage.mkdir()
    (folder / "config.json").write_text(json.dumps({"environment": environment}))
    (stage / "trajectories.jsonl").write_text(json.dumps(ROW) + "\n")
    return folder


@pytest.fixture
def command(tmp_path: Path) -> Path:
    """The run of somebody whose environment is a command: it makes the file RAN beside it."""
    (tmp_path / "run").mkdir()
    environment = {
        "name": "gymnasium",
        "make": "os:system",
        "options": {"command": f"touch '{tmp_path}/RAN'"},
        "num_processes": 1,
    }
    return write_run(tmp_path / "run", environment)


@pytest.mark.parametrize("part", ["", "explore", "explore/trajectories.jsonl"])
def test_a_command_in_a_strangers_run_is_shown_and_not_run(
    command: Path, part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(command / part)]) == 2
    said = capsys.readouterr()
    assert not (command.parent / "RAN").exists()
    assert not said.out
    assert f"{command}/config.json names code" in said.err
    assert "make: 'os:system'" in said.err
    assert f"touch '{command.parent}/RAN'" in said.err.replace('"', "")
    assert "Nothing was run" in said.err and "--trust" in said.err


def test_nothing_but_verify_looks_for_an_environment_there(
    command: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tree", str(command / "explore")]) == 0
    assert main(["tree", str(command / "explore"), "--task", "t"]) == 0
    assert not (command.parent / "RAN").exists()


def test_trusted_it_runs(command: Path) -> None:
    assert main(["verify", str(command), "--trust"]) != 0  # a command's status is no game
    assert (command.parent / "RAN").exists()


def test_games_that_the_engine_evaluates_are_code(tmp_path: Path) -> None:
    run = write_run(tmp_path, {"name": "alfworld", "data": "run/games\x1b[2J"})
    with pytest.raises(InvalidInput, match=r"games in 'run/games\\x1b\[2J', .* eval"):
        read_run(run)
    assert read_run(run, trust=True).environment.code


def test_an_environment_without_code_needs_no_trust(tmp_path: Path) -> None:
    run = write_run(tmp_path, {"name": "textworld_express", "game": "coin"})
    assert read_run(run).environment.code == ""


def test_every_kind_says_whether_its_options_name_code() -> None:
    with_code = {kind.name for kind in KINDS for options in kind.checks if options.code}
    assert with_code == set()  # what is checked is the engines' own
    assert GymnasiumOptions(make="lab:Maze").code.startswith("make: 'lab:Maze', imported")


def test_a_stage_is_replayed_in_the_environment_it_was_played_in(tmp_path: Path) -> None:
    """A run that takes another configuration keeps results until there are new ones."""

    def game(name: str, **more: Any) -> dict[str, Any]:
        return {"environment": {"name": "textworld_express", "game": name, **more}}

    write_run(tmp_path, game("coin")["environment"])
    (tmp_path / "evaluate_random").mkdir()
    row = (tmp_path / "explore" / "trajectories.jsonl").read_bytes()
    (tmp_path / "evaluate_random" / "trajectories.jsonl").write_bytes(row)

    def made_by(stage: str, config: dict[str, Any]) -> None:
        manifest = {"inputs": {}, "outputs": {}, "config": config}
        (tmp_path / stage / "manifest.json").write_text(json.dumps(manifest))

    made_by("explore", game("twc"))
    made_by("evaluate_random", game("coin"))
    with pytest.raises(InvalidInput, match=r"different environments .*game: 'coin' there, 'twc' n"):
        read_run(tmp_path)
    assert read_run(tmp_path / "explore").environment.game == "twc"  # type: ignore[attr-defined]
    assert read_run(tmp_path / "evaluate_random").environment.game == "coin"  # type: ignore[attr-defined]
    made_by("evaluate_random", game("twc", num_processes=7))
    assert len(read_run(tmp_path).trajectories) == 2
    command = {"name": "gymnasium", "make": "os:system", "options": {"command": "touch RAN"}}
    for stage in ("explore", "evaluate_random"):
        made_by(stage, {"environment": command})
    with pytest.raises(InvalidInput, match=r"random/manifest.json names code, .*os:system"):
        read_run(tmp_path)
