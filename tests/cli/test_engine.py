"""`--engine local`: the commands bucket by bucket, and what they refuse."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from random import Random

import pytest
from support.bucketed_runs import files_of, random_runs

import w2stree as w2s
from w2stree.cli.app import main

pytest.importorskip("pyarrow")

pytestmark = pytest.mark.filterwarnings("ignore")  # of runs that are there twice, as they are here


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return files_of(random_runs(Random(5), 8), tmp_path_factory.mktemp("runs") / "in")


def told(
    words: list[str], capsys: pytest.CaptureFixture[str], *, status: int = 0
) -> tuple[str, str]:
    assert main(words) == status
    captured = capsys.readouterr()
    return captured.out, captured.err


def test_a_forest_in_buckets_is_summed_up_as_at_once(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out")
    at_once, _ = told(["tree", str(runs)], capsys)
    told_here, err = told(
        ["tree", str(runs), "--engine", "local", "-o", out, "--buckets", "3"], capsys
    )
    *summary, buckets, account = told_here.splitlines()
    assert [*summary, account] == at_once.splitlines()
    assert f"{out}: 3 files in 3 buckets, digest " in buckets
    assert "made 3 of 3 buckets" in err
    again, _ = told(["tree", out], capsys)
    assert again.splitlines()[: len(summary)] == summary
    task = sorted(random_runs(Random(5), 8), key=lambda run: run.task_id)[0].task_id
    assert told(["tree", out, "--task", task], capsys)[0].splitlines()[0].startswith(task)


@pytest.mark.parametrize("command", ["pairs", "paths"])
def test_rows_in_buckets_are_as_many_as_at_once(
    command: str, runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at_once = json.loads(
        told([command, str(runs), "-o", f"{tmp_path}/a.jsonl", "--json"], capsys)[0]
    )
    engine = ["--engine", "local", "-o", str(tmp_path / "out"), "--buckets", "2"]
    found = json.loads(told([command, str(runs), *engine, "--json"], capsys)[0])
    assert found["num_rows"] == at_once["num_rows"]
    assert found["num_read"] == at_once["num_runs"]
    parts = (tmp_path / "out").glob("bucket=*/rows.parquet")
    import pyarrow.parquet

    assert sum(pyarrow.parquet.read_metadata(f).num_rows for f in parts) == found["num_rows"]


def test_turns_that_are_not_to_be_learned_are_told_as_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(action: str, total_return: float, **info: object) -> w2s.Trajectory:
        steps = tuple(w2s.Step(a, "Done.", response=f"Action: {a}") for a in ("look", action))
        prompt = (w2s.Message("user", "Fry the egg."),)
        return w2s.Trajectory("task", prompt, steps, total_return, "done", info=info)

    runs = [run("fry", 1.0, learned_turns=[True, False]), run("boil", 0.0)]
    w2s.write_trajectories(tmp_path / "in.parquet", runs)
    for command, said, status in (
        # The only comparison has such a turn on its better side.
        ("pairs", "1 not to be learned (loss: false)", 2),
        ("paths", "warning: 1 turns are not to be learned (loss: false)", 0),
    ):
        words = [command, str(tmp_path / "in.parquet")]
        at_once = ["-o", f"{tmp_path}/{command}.jsonl"]
        assert said in told([*words, *at_once], capsys, status=status)[1]
        engine = ["--engine", "local", "-o", f"{tmp_path}/{command}"]
        assert said in told([*words, *engine], capsys, status=status)[1]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["tree", "-o", "x"], "--output is of --engine"),
        (["pairs", "-o", "x.jsonl", "--buckets", "2"], "--buckets is of --engine"),
        (["tree", "--engine", "local"], "give -o DIR"),
        (
            ["tree", "--engine", "spark", "-o", "x"],
            "--engine spark: use local, ray or ray://ADDRESS",
        ),
        (["tree", "--engine", "ray://", "-o", "x"], "use local, ray or ray://ADDRESS"),
        (["tree", "--engine", "local", "-o", "x", "--task", "a"], "--task is not there with"),
        (["pairs", "--engine", "local", "-o", "x", "--holdout", "0.1"], "--holdout is not there"),
        (["pairs", "--engine", "local", "-o", "x", "--kind", "kto"], "--kind kto is not there"),
        (["paths", "--engine", "local", "-o", "x", "--kind", "prompts"], "--kind prompts is not"),
        (["convert", "--engine", "local", "-o", "x", "--force"], "--force is not there"),
        (["convert", "--engine", "local", "-o", "x", "--to", "odd"], "format is odd"),
        (["stats", "--engine", "local", "-o", "x", "--reward", "1"], "--reward is not there with"),
        (["stats", "--engine", "local", "-o", "x", "--openings", "first"], "--openings first is"),
    ],
)
def test_what_no_engine_does_is_refused(
    words: list[str],
    reason: str,
    runs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    _, err = told([words[0], str(runs), *words[1:]], capsys, status=2)
    assert reason in err
    assert not list(tmp_path.iterdir())


def test_without_ray_its_extra_is_named(
    runs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "w2stree.scale.ray_engine", raising=False)
    words = ["tree", str(runs), "--engine", "ray", "-o", str(tmp_path / "out")]
    _, err = told(words, capsys, status=2)
    assert "pip install 'w2stree[ray]'" in err


def test_tasks_asked_alike_under_several_ids_are_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from dataclasses import replace

    first = random_runs(Random(5), 8)
    alike = [replace(run, prompt=first[0].prompt) for run in first]
    folder = files_of(alike, tmp_path / "in")
    words = ["--engine", "local", "-o", str(tmp_path / "out"), "--buckets", "3"]
    _, err = told(["pairs", str(folder), *words], capsys)
    assert "1 prompt of tasks with several ids in several buckets" in err
