"""`w2stree pairs` and `w2stree paths`: what is written, what is said, what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import w2stree as w2s
from w2stree.cli.app import main


def run(task: str, first: str, total_return: float, *, number: int = 0) -> w2s.Trajectory:
    steps = (
        w2s.Step("look", "A hall.", "Action: look"),
        w2s.Step(first, "Then this.", f"Thought: why not?\nAction: {first}"),
        w2s.Step("stop", "Done.", "Action: stop"),
    )
    prompt = (w2s.Message("user", f"Task {task}."),)
    origin = w2s.Origin(sample_index=number, seed=1)
    return w2s.Trajectory(task, prompt, steps, total_return, "done", origin)


RUNS = [
    run(task, first, total_return, number=i)
    for task in ("a", "b", "c")
    for i, (first, total_return) in enumerate((("left", 1.0), ("right", 0.0), ("wait", 0.0)))
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    failed = replace(RUNS[0], status="error", origin=w2s.Origin(sample_index=9, seed=1))
    w2s.write_trajectories("runs.jsonl", [*RUNS, failed])
    return tmp_path


def rows(file: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in Path(file).read_bytes().splitlines()]


def test_pairs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pairs", "runs.jsonl", "-o", "dpo.jsonl", "--min-gap", "0.5"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "6 pairs; preferences, for trl",
        "dpo.jsonl: 6 rows",
        "use: DPOTrainer; trl dpo --dataset_name FOLDER; a path with / at its end writes a FOLDER",
        "6 comparisons = 6 rows + 0 skipped",
        "10 runs read = 9 used + 1 skipped (1 ended in an error)",
    ]
    first = rows("dpo.jsonl")[0]
    assert first["source"] == ["runs.jsonl:1", "runs.jsonl:2"]
    assert (first["task_id"], first["depth"], first["gap"]) == ("a", 1, 1.0)


def test_what_gave_no_row_is_counted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two wordings of one action are alike, and of equal sums none is better."""
    w2s.write_trajectories("more.jsonl", [run("a", "left", 0.0, number=7)])
    assert main(["pairs", "runs.jsonl", "more.jsonl", "-o", "dpo.jsonl", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["num_rows"] == len(rows("dpo.jsonl")) == 6
    assert told["files"] == {"dpo.jsonl": 6}
    assert (told["num_runs"], told["num_used_runs"]) == (11, 10)
    assert main(["pairs", "runs.jsonl", "-o", "kto.jsonl", "--kind", "kto"]) == 0
    assert "9 sides = 9 rows + 0 skipped" in capsys.readouterr().out


def test_choice_of_pairs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pairs", "runs.jsonl", "-o", "x.jsonl", "--max-per-task", "1"]) == 0
    assert len(rows("x.jsonl")) == 3
    assert main(["pairs", "runs.jsonl", "-o", "x.jsonl", "--strategy", "best_worst"]) == 0
    assert len(rows("x.jsonl")) == 3
    capsys.readouterr()
    assert main(["pairs", "runs.jsonl", "-o", "x.jsonl", "--min-return", "2"]) == 2
    assert "no pairs: in no task do two runs part" in capsys.readouterr().err
    assert len(rows("x.jsonl")) == 3  # what was there before


def test_a_split_is_by_task(folder: Path) -> None:
    assert main(["pairs", "runs.jsonl", "-o", "dpo.jsonl", "--holdout", "0.4", "--seed", "1"]) == 0
    tasks = [{row["task_id"] for row in rows(f)} for f in ("dpo.jsonl", "dpo.test.jsonl")]
    assert [len(t) for t in tasks] == [2, 1] and not tasks[0] & tasks[1]
    assert main(["paths", "runs.jsonl", "-o", "sft.jsonl", "--holdout", "0.4", "--seed", "1"]) == 0
    assert {row["task_id"] for row in rows("sft.test.jsonl")} == tasks[1]


def test_paths(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["paths", "runs.jsonl", "-o", "sft.jsonl"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "3 runs, returns 1 to 1; conversations (SFT), for trl"
    assert out[-2:] == [
        "3 runs = 3 rows + 0 skipped",
        "10 runs read = 3 used + 7 skipped (1 ended in an error, 6 not their task's best)",
    ]
    assert [row["source"] for row in rows("sft.jsonl")] == [
        ["runs.jsonl:1"], ["runs.jsonl:4"], ["runs.jsonl:7"]
    ]  # fmt: skip
    assert main(["paths", "runs.jsonl", "-o", "sft.jsonl", "--all-runs"]) == 0
    assert len(rows("sft.jsonl")) == 9
    assert main(["paths", "runs.jsonl", "-o", "kto.jsonl", "--kind", "kto"]) == 0
    assert [row["label"] for row in rows("kto.jsonl")] == [True, False, False] * 3
    assert main(["paths", "runs.jsonl", "-o", "ask.jsonl", "--kind", "prompts"]) == 0
    assert [row["num_runs"] for row in rows("ask.jsonl")] == [3, 3, 3]


@pytest.mark.train
def test_turns_that_are_not_to_be_learned(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As AgentTraj says by its flags: ids have masks for them, messages have none."""
    pytest.importorskip("transformers")
    from support.tiny_models import tiny_tokenizer

    tokenizer = tiny_tokenizer()
    tokenizer.save_pretrained("model")
    flags = [True, False, True]
    w2s.write_trajectories("flagged.jsonl", [replace(RUNS[0], info={"learned_turns": flags})])
    assert main(["paths", "flagged.jsonl", "-o", "sft.jsonl"]) == 0
    assert "1 turns are not to be learned (loss: false)" in capsys.readouterr().err
    assert main(["paths", "flagged.jsonl", "-o", "ids.jsonl", "--tokenizer", "model"]) == 0
    assert "not to be learned" not in capsys.readouterr().err
    row = json.loads(Path("ids.jsonl").read_text())
    labelled = [i for i, label in zip(row["input_ids"], row["labels"], strict=True) if label >= 0]
    text = tokenizer.decode(labelled)
    assert "look" in text and "stop" in text and "left" not in text


def test_a_saved_forest_with_its_runs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    w2s.build_forest(RUNS).save("x.forest")
    assert main(["pairs", "x.forest", "-o", "a.jsonl"]) == 2
    assert "--trajectories" in capsys.readouterr().err
    assert main(["pairs", "x.forest", "--trajectories", "runs.jsonl", "-o", "a.jsonl"]) == 0
    assert main(["pairs", "runs.jsonl", "-o", "b.jsonl"]) == 0
    assert rows("a.jsonl") == rows("b.jsonl")
    assert main(["pairs", "runs.jsonl", "--trajectories", "runs.jsonl", "-o", "b.jsonl"]) == 2
    capsys.readouterr()
    w2s.write_trajectories("other.jsonl", [replace(RUNS[0], task_id="other"), *RUNS[1:]])
    assert main(["pairs", "x.forest", "--trajectories", "other.jsonl", "-o", "b.jsonl"]) == 2
    assert "other.jsonl:1: " in capsys.readouterr().err


def test_a_saved_forest_of_any_openings(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = [
        replace(r, prompt=(w2s.Message("user", f"On day {i}: task {r.task_id}."),))
        for i, r in enumerate(RUNS)
    ]
    w2s.write_trajectories("dated.jsonl", asked)
    w2s.build_forest(asked, openings="any").save("x.forest")
    given = ["pairs", "x.forest", "--trajectories", "dated.jsonl", "-o", "a.jsonl"]
    assert main(given) == 2
    told = capsys.readouterr().err
    assert "dated.jsonl:1 and dated.jsonl:2 have task_id 'a'" in told and "--openings any" in told
    assert main([*given, "--openings", "any"]) == 2, "two histories, which one prompt cannot show"
    assert "6 of two histories" in capsys.readouterr().err
    judged = [*given, "--openings", "any", "--kind", "kto"]
    assert main(judged) == 2
    assert "of two histories" in capsys.readouterr().err


def test_turns_that_are_not_to_be_learned_are_no_side(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither the better nor the worse one; what their runs earned counts."""
    flags = {"learned_turns": [True, False, True]}
    for flagged in (0, 1):  # the chosen side, the rejected one
        w2s.write_trajectories(
            "runs.jsonl",
            [replace(r, info=flags) if i == flagged else r for i, r in enumerate(RUNS)],
        )
        assert main(["pairs", "runs.jsonl", "-o", "a.jsonl"]) == 0
        num = 2 if flagged == 0 else 1
        assert f"{num} not to be learned (loss: false)" in capsys.readouterr().out
        assert all(f"runs.jsonl:{flagged + 1}" not in row["source"] for row in rows("a.jsonl"))  # type: ignore[operator]
        assert main(["pairs", "runs.jsonl", "-o", "b.jsonl", "--completion", "suffix"]) == 0
        assert len(rows("a.jsonl")) == len(rows("b.jsonl")) == 6 - num
    twin = replace(RUNS[0], origin=w2s.Origin(sample_index=7, seed=1))
    w2s.write_trajectories("runs.jsonl", [replace(RUNS[0], info=flags), *RUNS[1:], twin])
    assert main(["pairs", "runs.jsonl", "-o", "a.jsonl"]) == 0
    first = rows("a.jsonl")[0]
    assert (first["num_chosen"], first["source"]) == (2, ["runs.jsonl:10", "runs.jsonl:2"])


def test_what_to_tell_the_trainer_names_the_file(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pyarrow")
    given = ["paths", "runs.jsonl", "--for", "verl", "-o"]
    for output, file in (("my sft.parquet", "'my sft.parquet'"), ("d/", "d/data/train.parquet")):
        assert main([*given, output]) == 0
        told = f"use: data.train_files={file} data.messages_key=messages"
        assert told in capsys.readouterr().out.splitlines()
    assert "data.train_files=THIS_FOLDER/data/train.parquet" in Path("d/README.md").read_text()
    assert main(["paths", "runs.jsonl", "--for", "openrlhf", "-o", "x.jsonl"]) == 0
    assert "train_sft --data.dataset x.jsonl --data.input_key" in capsys.readouterr().out


def test_actions_without_words(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    w2s.write_trajectories(
        "runs.jsonl",
        [replace(r, steps=tuple(replace(s, response="") for s in r.steps)) for r in RUNS],
    )
    assert main(["pairs", "runs.jsonl", "-o", "a.jsonl"]) == 2
    assert "6 of actions without words" in capsys.readouterr().err
    assert main(["paths", "runs.jsonl", "-o", "a.jsonl"]) == 2
    assert "--render-actions" in capsys.readouterr().err
    assert main(["pairs", "runs.jsonl", "-o", "a.jsonl", "--render-actions"]) == 0
    assert rows("a.jsonl")[0]["chosen"] == [{"role": "assistant", "content": "Action: left"}]
    assert rows("a.jsonl")[0]["source"] == ["runs.jsonl:1", "runs.jsonl:2"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["pairs", "runs.jsonl"], "--output"),
        (["pairs", "nowhere.jsonl", "-o", "x.jsonl"], "nowhere.jsonl"),
        (["pairs", "runs.jsonl", "-o", "x.txt"], "rows are written by the file's ending"),
        (["pairs", "runs.jsonl", "-o", "x.jsonl", "--for", "trex"], "no trainer 'trex'"),
        (["pairs", "runs.jsonl", "-o", "x.parquet", "--for", "verl"], "no trainer of preferences"),
        (["pairs", "runs.jsonl", "-o", "x.jsonl", "--kind", "x"], "use preference or kto"),
        (["pairs", "runs.jsonl", "-o", "x.jsonl", "--completion", "x"], "use 'step' or 'suffix'"),
        (["pairs", "runs.jsonl", "-o", "x.jsonl", "--strategy", "x"], "'all' or 'best_worst'"),
        (["pairs", "runs.jsonl", "-o", "x.jsonl", "--max-length", "9"], "give --tokenizer too"),
        (["pairs", "runs.jsonl", "-o", "x.jsonl", "--holdout", "0.1"], "holdout=0.34 holds out"),
        (["pairs", "runs.jsonl", "-o", "x.jsonl", "--holdout", "1"], "below 1"),
        (["paths", "runs.jsonl", "-o", "x.jsonl", "--min-return", "2"], "leaves none of the runs"),
        (["paths", "runs.jsonl", "-o", "x.jsonl", "--kind", "x"], "use messages, kto or prompts"),
        (["paths", "runs.jsonl", "-o", "x.jsonl", "--kind", "kto", "--all-runs"], "of messages"),
        (["paths", "runs.jsonl", "-o", "x.jsonl", "--success-threshold", "1"], "of --kind kto"),
    ],
)
def test_refusals(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert main(words) == 2
    assert message in capsys.readouterr().err
    assert [p.name for p in folder.iterdir()] == ["runs.jsonl"]


def test_json_lines_need_no_extra(folder: Path) -> None:
    """Neither torch, nor transformers, datasets or pyarrow: as if they were not installed."""
    code = (
        "import sys\n"
        "for name in ('torch', 'transformers', 'trl', 'datasets', 'pyarrow', 'pandas'):\n"
        "    sys.modules[name] = None\n"
        "from w2stree.cli.app import main\n"
        "assert main(['pairs', 'runs.jsonl', '-o', 'dpo.jsonl']) == 0\n"
        "assert main(['paths', 'runs.jsonl', '-o', 'sft.jsonl.gz']) == 0\n"
        "assert main(['pairs', 'runs.jsonl', '-o', 'dpo.parquet']) == 2\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "pip install 'w2stree[arrow]'; JSON lines" in done.stderr
    assert not Path("dpo.parquet").exists()
