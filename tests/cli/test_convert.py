"""`w2stree convert`: any format in, any format out, and an account of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from w2stree import read_trajectories
from w2stree.cli.app import main


def messages(folder: Path) -> Path:
    said = [{"role": "user", "content": "Go."}, {"role": "assistant", "content": "Action: go"}]
    records = [{"messages": said, "meta": {"uid": i, "won": i % 2}} for i in range(3)]
    file = folder / "logs.jsonl"
    lines = [json.dumps(record) for record in (*records, {"messages": "none"})]
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


CHOSEN = ["--reward-field", "meta.won", "--task-field", "meta.uid", "--on-error", "skip"]


@pytest.mark.parametrize("to", ["w2stree", "messages", "sharegpt"])
@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz", "out.json"])
def test_any_format_to_any(
    to: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = messages(tmp_path), tmp_path / name
    assert main(["convert", str(file), "-o", str(out), "--to", to, *CHOSEN]) == 0
    read = read_trajectories(out)
    assert [(t.task_id, t.total_return, t.steps[0].action) for t in read] == [
        ("0", 0.0, "go"),
        ("1", 1.0, "go"),
        ("2", 0.0, "go"),
    ]
    told = capsys.readouterr()
    assert "4 runs read = 3 used + 1 skipped (1 not readable)" in told.out
    for line in ("reward: meta.won (3)", "task: meta.uid (3)", "action: an Action: line (3)"):
        assert line in told.err
    assert "skipped: " in told.err and "logs.jsonl:4: " in told.err


def test_what_is_wrong_is_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = messages(tmp_path), tmp_path / "out.jsonl"
    for options, reason in (
        ([], "logs.jsonl:1: no reward at "),
        (["--reward", "1", "--reward-field", "a"], "--reward and --reward-field both say"),
        ([*CHOSEN, "--to", "mesages"], "format is mesages; use one of"),
        (["--reward", "1"], "logs.jsonl:4: "),
    ):
        assert main(["convert", str(file), "-o", str(out), *options]) == 2
        assert reason in capsys.readouterr().err
        assert not out.exists()
    out.write_text("mine", encoding="utf-8")
    assert main(["convert", str(file), "-o", str(out), *CHOSEN]) == 2
    assert "is there: write it over with --force" in capsys.readouterr().err
    assert main(["convert", str(file), "-o", str(out), "--force", *CHOSEN]) == 0
    assert len(read_trajectories(out)) == 3
