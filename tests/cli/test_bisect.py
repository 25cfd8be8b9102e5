"""`w2stree bisect`: by the runs alone, and by playing where the environment is recorded."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from w2stree import (
    Message,
    Step,
    Trajectory,
    build_forest,
    read_trajectories,
    write_trajectories,
)
from w2stree.cli.app import main

GAME = """\
name: pits
environment: {{name: gymnasium, make: "support.pits:pits", expert: "support.pits:walks_out",
              max_steps: 12, num_processes: 2}}
tasks: {{count: 1}}
policy: {{name: expert, noise: {noise}}}
samplings: [{{}}, {{}}, {{}}, {{}}, {{}}, {{}}, {{}}, {{}}]
"""


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def told(*arguments: object, status: int = 0) -> str:
        assert main([str(argument) for argument in arguments]) == status
        written = capsys.readouterr()
        return written.out if status == 0 else written.err

    return told


def run(actions: str, value: float, task: str = "a/1") -> Trajectory:
    steps = tuple(Step(f"do {a}", actions[: i + 1], f"do {a}") for i, a in enumerate(actions))
    return Trajectory(task, (Message("user", f"the task {task}"),), steps, value, "done")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    runs = [
        run("abxyz", 0),
        *(run(f"abq{end}", 1) for end in "rst"),
        run("ac", 1),
        run("z", 0, "b/1"),
    ]
    file = tmp_path / "runs.jsonl"
    write_trajectories(file, [*runs, run("y", 1, "b/1")])
    return file


@pytest.mark.parametrize("by", ["place", "task", "number"])
def test_a_log_is_told_by_its_runs_and_never_a_cause(
    log: Path, told: Callable[..., str], by: str
) -> None:
    which = {
        "place": [f"{log}:1"],
        "task": [log, "--task", "a"],
        "number": [log, "--task", "a/1", "--run", "worst"],
    }[by]
    out = told("bisect", *which)
    assert "5 runs, 4 of them successes (a return of at least 1)" in out
    assert f"{log}:1, return 0, done after 5 steps" in out
    assert "   3              0 of 1      4 of 4" in out
    assert "  instead of it, 3 of 3: do q\n" in out
    assert "the same runs took steps 3 to 5: the runs do not tell these apart" in out
    assert "not verified by playing: " in out
    assert "cause" not in out
    assert "7 runs read = 5 used + 2 skipped (2 of other tasks)" in out


def test_a_saved_forest_has_no_places(log: Path, told: Callable[..., str]) -> None:
    saved = log.with_name("x.forest")
    build_forest(read_trajectories(log)).save(saved)
    out = told("bisect", saved, "--task", "a")
    assert "the run that is looked into: run 0, return 0, done after 5 steps" in out
    assert "   3              0 of 1      4 of 4" in out
    assert "7 runs read = 5 used + 2 skipped (2 of other tasks)" in out


def test_the_command_that_shows_it_reads_the_runs_alike(
    log: Path, told: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(log.parent)  # the view goes there
    options = ("--openings", "any", "--allow", "steps=50", "--allow", "runs=20")
    out = told("bisect", log, "--task", "a/1", *options)
    (seen,) = [line for line in out.splitlines() if line.startswith("to see it: ")]
    assert f"{log} {' '.join(options)} --task a/1 --node" in seen
    told(*shlex.split(seen.removeprefix("to see it: w2stree ").removesuffix(" --open")))


def test_numbers_for_programs(log: Path, told: Callable[..., str]) -> None:
    record = json.loads(told("bisect", f"{log}:1", "--json"))
    (flip, *_) = record["by_the_runs"]
    assert (flip["step"], flip["after"]["action"]) == (3, "do x")
    assert (flip["after"]["num_runs"], flip["num_other"]) == (1, 4)
    assert record["run"]["place"] == f"{log}:1"
    assert record["by_playing"] is None and record["not_played"]
    assert (record["num_read"], record["num_used"]) == (7, 5)


def test_what_is_refused(log: Path, told: Callable[..., str]) -> None:
    assert "there are 2 tasks: choose one by --task" in told("bisect", log, status=2)
    assert "this run succeeded (return 1" in told("bisect", f"{log}:2", status=2)
    assert "no run begins there" in told("bisect", f"{log}:99", status=2)
    assert "no config.json there" in told("bisect", f"{log}:1", "--policy", "expert", status=2)
    assert "is of task a/1, not of --task b" in told("bisect", f"{log}:1", "--task", "b", status=2)


def test_without_a_failure_or_a_success(tmp_path: Path, told: Callable[..., str]) -> None:
    file = tmp_path / "won.jsonl"
    write_trajectories(file, [run("ab", 1), run("ac", 1)])
    assert "no run failed: there is nothing to look for\n" in told("bisect", file)
    write_trajectories(file, [run("ab", 1), replace(run("ac", 0), status="error")])
    assert f"look for; left out: 1 run that ended in an error ({file}:2)\n" in told("bisect", file)
    write_trajectories(file, [run("ab", 0), run("ac", 0)])
    assert "by the runs alone: nothing, no run succeeded" in told("bisect", file)
    write_trajectories(file, [run("ab", 30), run("ac", 100)])
    assert "say from which one on" in told("bisect", file, status=2)
    assert "   2 " in told("bisect", file, "--success-at", "60")


def test_an_exploration_is_played_on(
    tmp_path: Path, told: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its game is code: it is run for those who trust the directory."""
    monkeypatch.chdir(tmp_path)
    Path("pits.yaml").write_text(GAME.format(noise=0.3))
    told("explore", "pits.yaml")
    alone = told("bisect", "runs/pits")
    assert "not verified by playing: runs/pits/config.json names code" in alone
    out = told("bisect", "runs/pits", "--trust", "--run", "worst", "--policy", "expert")
    assert "outcomes flip at step" in out
    assert ": jump" in out.partition("outcomes flip at step ")[2].split("\n")[0]
    assert "the cause, verified by playing\n  against east:" in out
    (seen,) = [line for line in out.splitlines() if line.startswith("to see it: ")]
    line = seen.removeprefix("to see it: w2stree ").removesuffix(" --open")
    assert "view.html" in told(*shlex.split(line))
    record = json.loads(told("bisect", "runs/pits", "--trust", "--run", "worst", "--json"))
    played = record["by_playing"]
    assert played["policy"] == "expert(noise=0.3)"
    assert played["action"] == "jump"
    assert played["places"][0]["num_steps"] == 0


def test_a_server_that_a_directory_names_is_not_asked(
    tmp_path: Path, told: Callable[..., str]
) -> None:
    """A key would be sent to whoever wrote the directory."""
    policy = {
        "name": "openai",
        "model": "m",
        "base_url": "http://127.0.0.1:9/v1",
        "api_key_env": "HOME",
    }
    environment = {"name": "textworld_express", "game": "twc"}
    config = {"name": "foreign", "environment": environment, "policy": policy}
    (tmp_path / "config.json").write_text(json.dumps(config))
    write_trajectories(tmp_path / "runs.jsonl", [run("ab", 0), run("ac", 1)])
    out = told("bisect", tmp_path / "runs.jsonl", "--task", "a/1")
    assert "names a server, http://127.0.0.1:9/v1, to which texts and a key would be sent" in out
