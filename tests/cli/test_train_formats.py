"""`w2stree train` of other tools' runs: what it trains on is what their runs hold."""

from __future__ import annotations

import io
import json
import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("trl")

from support.tiny_models import BAD, GOOD, WORSE, tiny_model, tiny_tokenizer

import w2stree as w2s
from w2stree.cli.app import main
from w2stree.training.models import save_model
from w2stree.trajectories.trajectory import Message

pytestmark = [
    pytest.mark.train,
    pytest.mark.filterwarnings("ignore::w2stree.errors.LikelihoodDisplaced"),
    pytest.mark.filterwarnings("ignore::w2stree.errors.RowWarning"),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Own runs of four tasks and a model; the current directory."""
    monkeypatch.chdir(tmp_path)
    tokenizer = tiny_tokenizer()
    save_model("model", tiny_model(tokenizer), tokenizer)
    runs = [
        replace(t, task_id=f"task-{i}", prompt=(Message("user", f"Cook meal {i}."),))
        for i in range(4)
        for t in (GOOD, BAD, WORSE)
    ]
    w2s.write_trajectories("runs.jsonl", runs)
    Path("args.yaml").write_text("max_steps: 1\nwarmup_steps: 0\n")
    return tmp_path


def train(*arguments: str, output: str = "out") -> int:
    given = ("--args", "args.yaml", "--lr", "1e-3", "--output", output, "--model", "model")
    return main(["train", *arguments, *given])


def learned(output: str) -> str:
    """What says the tokens that were trained on."""
    lines = Path(output, "README.md").read_text().splitlines()
    return next(line for line in lines if line.startswith("SHA-256"))


def logs() -> None:
    """The runs as chat messages in a file a task, the return under a name of nobody's standard."""
    assert main(["convert", "runs.jsonl", "--to", "messages", "-o", "messages.jsonl"]) == 0
    Path("logs").mkdir()
    for line in Path("messages.jsonl").read_text().splitlines():
        record = json.loads(line)
        record["outcome"] = {"won": record.pop("reward")}
        with Path("logs", f"{record['task_id']}.jsonl").open("a") as file:
            file.write(json.dumps(record) + "\n")


@pytest.mark.parametrize("method", ["sft", "dpo"])
def test_a_folder_of_logs_trains_what_own_runs_train(
    method: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logs()
    assert train(method, "runs.jsonl", output="own") == 0
    capsys.readouterr()
    assert train(method, "logs", "--reward-field", "outcome.won", output="theirs") == 0
    told = capsys.readouterr()
    assert learned("own") == learned("theirs")
    assert "logs: trajectories" in told.out and "reward: outcome.won (12)" in told.err
    used = "12 used + 0 skipped" if method == "dpo" else "4 used + 8 skipped (8 not their task's be"
    assert f"12 runs read = {used}" in told.out


def test_logs_whose_return_is_nowhere_are_refused_with_the_option(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logs()
    assert train("dpo", "logs") == 2
    told = capsys.readouterr().err
    assert "task-0.jsonl:1: no reward at reward, total_return" in told and "--reward-field" in told
    assert not Path("out").exists()


def test_lines_on_standard_input_are_runs(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(Path("runs.jsonl").read_bytes())))
    assert train("sft", "-", "--min-return", "1", "--holdout", "0") == 0
    told = capsys.readouterr().out
    assert "standard input: trajectories" in told and "4 used + 8 skipped" in told


@pytest.mark.parametrize("format", ["sharegpt", "eto"])
def test_a_file_of_another_format_is_known_by_itself(
    format: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", "runs.jsonl", "--to", format, "-o", "theirs.json"]) == 0
    assert main(["convert", "theirs.json", "-o", "again.jsonl"]) == 0
    assert train("dpo", "theirs.json", output="theirs") == 0
    assert train("dpo", "again.jsonl", output="again") == 0
    assert learned("theirs") == learned("again")


def test_conversations_with_rewards_are_not_imitated_failures_and_all(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They may be rows, and they may be runs of which most failed: the user says which."""
    assert main(["convert", "runs.jsonl", "--to", "messages", "-o", "messages.jsonl"]) == 0
    for method in ("sft", "dpo"):
        assert train(method, "messages.jsonl") == 2
        assert "--format messages" in capsys.readouterr().err
    for i, (options, count) in enumerate((("", 4), (" --all-runs", 12))):
        words = shlex.split(f"sft messages.jsonl --format messages{options} --holdout 0")
        assert train(*words, output=f"out{i}") == 0
        metrics = json.loads(Path(f"out{i}/metrics.json").read_text())
        assert metrics["num_trained_rows"] == count
    assert train("sft", "runs.jsonl", "--holdout", "0", output="own") == 0
    assert learned("own") == learned("out0")


def test_one_reward_among_conversations_is_enough(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", "runs.jsonl", "--to", "messages", "-o", "messages.jsonl"]) == 0
    records = [json.loads(line) for line in Path("messages.jsonl").read_text().splitlines()]
    del records[0]["reward"]
    Path("messages.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    assert train("sft", "messages.jsonl") == 2
    assert "messages.jsonl:2: a conversation with a return (reward)" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["won", "success", "meta.resolved", "info.passed"])
def test_a_verdict_by_another_name_is_one_too(
    name: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", "runs.jsonl", "--to", "messages", "-o", "messages.jsonl"]) == 0
    records = [json.loads(line) for line in Path("messages.jsonl").read_text().splitlines()]
    for record in records:
        won = record.pop("reward") > 0
        within, _, last = name.rpartition(".")
        record |= {within: {last: won}} if within else {last: won}
    Path("messages.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    assert train("sft", "messages.jsonl") == 2
    told = capsys.readouterr().err
    assert f"messages.jsonl:1: a conversation with a return ({name})" in told
    assert f"--reward-field {name}" in told
    assert train("sft", "messages.jsonl", "--reward-field", name, "--holdout", "0") == 0


def test_runs_of_a_test_split_are_held_out_and_counted(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = w2s.read_trajectories("runs.jsonl")
    Path("runs/data").mkdir(parents=True)
    Path("runs/README.md").write_text("---\n---\n")  # of a data set: its folders are read too
    w2s.write_trajectories("runs/data/train.parquet", runs[:9])
    w2s.write_trajectories("runs/data/test.parquet", runs[9:])
    assert train("dpo", "runs") == 0
    told = capsys.readouterr().out
    assert "12 runs read = 9 used + 3 skipped (3 held out (runs/data/test.parquet))" in told


def test_rows_of_ours_say_how_well_they_went(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["paths", "runs.jsonl", "-o", "sft.jsonl", "--all-runs"]) == 0
    assert train("sft", "sft.jsonl") == 0
    assert "all 12 conversations are imitated, returns 0 to 1" in capsys.readouterr().out


def test_what_pairs_wrote_as_a_data_set_trains_without_its_test_tasks(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["pairs", "runs.jsonl", "-o", "rows/", "--holdout", "0.25"]) == 0
    assert train("dpo", "rows", "--holdout", "0") == 0
    told = capsys.readouterr().out
    assert "rows: test.parquet in it is not trained on" in told
    num_rows = int(re.search(r"train.parquet: (\d+) rows", told)[1])
    assert f"trained on {num_rows} rows" in told


def test_several_files_of_rows_are_one_kind(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["pairs", "runs.jsonl", "-o", "rows.jsonl", "--holdout", "0.25"]) == 0
    assert train("dpo", "rows.jsonl", "rows.test.jsonl", "--holdout", "0") == 0
    assert "trained on 12 rows" in capsys.readouterr().out
    assert train("dpo", "rows*.jsonl", "--holdout", "0", output="by-pattern") == 0
    assert learned("out") == learned("by-pattern")
    assert train("dpo", "no*.jsonl", output="none") == 2
    assert "no*.jsonl: no file matches this pattern" in capsys.readouterr().err
    assert train("dpo", "rows.jsonl", "runs.jsonl", output="mixed") == 2
    assert "runs.jsonl: no rows: give one kind at a time" in capsys.readouterr().err
    Path("torn.jsonl").write_text('{"prompt": [\n' + Path("rows.jsonl").read_text())
    assert train("dpo", "rows.jsonl", "torn.jsonl", output="torn") == 2
    assert "torn.jsonl:1: not valid JSON" in capsys.readouterr().err
    assert train("sft", "rows.jsonl", "--min-return", "0", output="no") == 2
    assert "--min-return: of runs or a saved forest" in capsys.readouterr().err
    assert train("dpo", "rows.jsonl", "--openings", "any", output="no") == 2
    assert "--openings: of runs or a saved forest" in capsys.readouterr().err
