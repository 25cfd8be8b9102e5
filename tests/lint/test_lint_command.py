"""`w2stree lint`: what it reads, what it prints, and what it ends with."""

from __future__ import annotations

import gzip
import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.lint_inputs import (
    clean_conversations,
    clean_preferences,
    clean_runs,
    preference,
    run,
)

from w2stree import Message, Step, Trajectory, build_forest, lint, write_trajectories
from w2stree.cli.app import main
from w2stree.linting.finding import Rule
from w2stree.trajectories.trajectory import Status
from w2stree.turns.react import render_turn

SHARED = Path(__file__).parents[3] / "shared" / "data" / "alfworld"
ALFWORLD = Path(os.environ.get("ALFWORLD_DATA", SHARED)) / "train.jsonl.gz"
Capture = pytest.CaptureFixture[str]


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def linted(capsys: Capture, *arguments: object) -> tuple[int, dict[str, Any]]:
    status = main(["lint", *map(str, arguments), "--json"])
    return status, json.loads(capsys.readouterr().out)


def codes(record: dict[str, Any]) -> set[str]:
    return {finding["code"] for finding in record["findings"]}


# What it ends with --------------------------------------------------------------------------------


def test_nothing_wrong_is_status_0(tmp_path: Path, capsys: Capture) -> None:
    write_trajectories(tmp_path / "runs.jsonl", clean_runs())
    assert main(["lint", str(tmp_path / "runs.jsonl"), "--strict"]) == 0
    out = capsys.readouterr().out
    assert "0 errors, 0 warnings, 0 notes" in out
    assert out.rstrip().endswith("12 runs = 12 linted + 0 skipped")
    assert "give --model DIR" in out


def test_an_error_is_status_1_and_a_warning_too_where_asked(
    tmp_path: Path, capsys: Capture
) -> None:
    rows = write_rows(tmp_path / "rows.jsonl", [*clean_preferences(), preference(3)])
    assert main(["lint", str(rows)]) == 0
    assert main(["lint", str(rows), "--strict"]) == 1
    capsys.readouterr()
    write_rows(rows, [*clean_preferences(), preference(30, gap=-1.0)])
    assert main(["lint", str(rows)]) == 1
    told = capsys.readouterr().out
    lines = told.splitlines()
    assert lines[:2] == [
        "error    returns-disagree",
        "  1 of 25 preference rows prefer the side with the lower return",
    ]
    assert re.search(r"at\s+.*rows.jsonl:25\n  training: the row .*\n  fix: turn them", told)


def test_notes_alone_are_status_0(tmp_path: Path) -> None:
    rows = [*clean_preferences(), preference(30, num_chosen=1, num_rejected=1)]
    assert main(["lint", str(write_rows(tmp_path / "r.jsonl", rows)), "--strict"]) == 0


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (None, [], "no such file"),
        ("", [], "rows.jsonl: has no runs and no rows"),
        ('{"text": "x"}\n', [], "not known by its fields (text)"),
        ('{"text": "x"}\n', [], "as runs: "),
        ("not json\n", [], "is no JSON object"),
        ('{"chosen": [], "rejected": []}\n{"chosen": \n', [], "rows.jsonl:2: not valid JSON"),
        ('{"messages": []}\n', ["--max-length", "0"], "give a whole number of at least 1"),
        ('{"messages": []}\n', ["--completion", "turn"], "give step or suffix"),
        ('{"messages": []}\n', ["--normalize", "number"], "'number' is not known"),
        ('{"messages": []}\n', ["--on-error", "skip"], "--on-error: of runs; "),
        ('{"messages": []}\n', ["--allow", "runs=3"], "--format messages reads them as runs"),
        ('{"chosen": [], "rejected": []}\n', ["--openings", "any"], "--openings: of runs; "),
        ('{"chosen": [], "rejected": []}\n', ["--normalize", "numbers"], "--normalize: of runs"),
        ('{"input_ids": [], "labels": []}\n', ["--min-gap", "1"], "--min-gap: of runs; "),
        ('{"messages": []}\n', ["--chat-template", "plain"], "is of a model's directory"),
        ('{"messages": []}\n', ["--model", "no-model"], "no-model"),
        ('{"messages": []}\n', ["--return-range", "1", "0"], "two finite numbers"),
    ],
)
def test_what_cannot_be_linted_is_status_2(
    content: str | None, options: list[str], message: str, tmp_path: Path, capsys: Capture
) -> None:
    path = tmp_path / "rows.jsonl"
    if content is not None:
        path.write_text(content)
    assert main(["lint", str(path), *options]) == 2
    assert message in capsys.readouterr().err.replace("\n", " ")


# What it reads ------------------------------------------------------------------------------------


def test_reads_runs_as_every_command_does(tmp_path: Path, capsys: Capture) -> None:
    """Several paths, a folder, a pattern; what was read twice is accounted for."""
    runs = clean_runs()
    (tmp_path / "more").mkdir()
    write_trajectories(tmp_path / "more" / "a.jsonl", runs[:6])
    write_trajectories(tmp_path / "b.jsonl", [*runs[6:], run("dry", ["a"], 2.0)])
    status, record = linted(capsys, tmp_path / "more", tmp_path / "*.jsonl")
    assert status == 0 and record["kind"] == "runs" and record["num_given"] == 13
    (finding,) = (f for f in record["findings"] if f["code"] == Rule.RETURNS_OUT_OF_RANGE)
    assert finding["places"] == [f"{tmp_path / 'b.jsonl'}:7"]


def test_reads_rows_of_every_kind_and_a_saved_forest(tmp_path: Path, capsys: Capture) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    datasets = pytest.importorskip("datasets")
    table = pyarrow.Table.from_pylist([*clean_preferences(), preference(30, gap=-1.0)])
    parquet.write_table(table, tmp_path / "rows.parquet")
    status, record = linted(capsys, tmp_path / "rows.parquet")
    assert (status, codes(record)) == (1, {"returns-disagree"})
    assert record["findings"][0]["places"] == [f"{tmp_path / 'rows.parquet'}: row 25"]

    datasets.Dataset.from_list(clean_conversations()).save_to_disk(tmp_path / "data")
    status, record = linted(capsys, tmp_path / "data")
    assert (status, codes(record), record["num_given"]) == (0, set(), 4)

    build_forest(clean_runs()).save(tmp_path / "forest")
    status, record = linted(capsys, tmp_path / "forest")
    assert (status, codes(record), record["num_given"]) == (0, set(), 12)
    assert main(["lint", str(tmp_path / "forest"), str(tmp_path / "data")]) == 2
    assert "give one kind at a time" in capsys.readouterr().err


def test_what_pairs_and_paths_write_is_linted(tmp_path: Path, capsys: Capture) -> None:
    write_trajectories(tmp_path / "runs.jsonl", clean_runs())
    for command, name in (("pairs", "dpo.jsonl"), ("paths", "sft.jsonl")):
        out = tmp_path / name
        assert main([command, str(tmp_path / "runs.jsonl"), "-o", str(out)]) == 0
        capsys.readouterr()
        status, record = linted(capsys, out, "--strict")
        assert (status, codes(record), record["num_given"]) == (0, set(), 2), command


def test_runs_of_other_formats_are_runs_and_chats_are_what_is_asked_for(
    tmp_path: Path, capsys: Capture
) -> None:
    runs = [*clean_runs()[:6], run("wash", ["take a"], 1.5)]
    for name, options in (
        ("sharegpt", []),
        ("messages", []),
        ("messages", ["--format", "messages"]),
        ("messages", ["--reward-field", "reward"]),
    ):
        file = tmp_path / f"{name}.jsonl"
        write_trajectories(file, runs, format=name)
        _, record = linted(capsys, file, *options)
        assert record["kind"] == "runs", (name, options)
        assert {"returns-out-of-range", "single-run-tasks"} <= codes(record)
        assert lint(file).kind == "runs"
    records = [json.loads(line) for line in file.read_text().splitlines()]
    told = linted(capsys, file)[1]["notes"]
    assert told[0] == f"read as runs, for {file}:1 has reward"
    for record in records:
        record["won"] = record.pop("reward") > 0
    write_rows(file, records)
    assert main(["lint", str(file)]) == 2
    assert "no reward at reward, " in capsys.readouterr().err
    assert linted(capsys, file, "--reward-field", "won")[1]["kind"] == "runs"
    for record in records:
        del record["won"]
    _, record = linted(capsys, write_rows(file, records))
    assert record["kind"] == "conversations"
    assert "--format messages reads them as runs" in record["notes"][0]


def test_tasks_in_two_files_are_found_those_in_one_are_not(tmp_path: Path, capsys: Capture) -> None:
    train = write_rows(tmp_path / "train.jsonl", clean_preferences()[:20])
    test = write_rows(tmp_path / "test.jsonl", clean_preferences()[20:])
    assert codes(linted(capsys, train, test)[1]) == set()
    again = preference(3, chosen=[{"role": "assistant", "content": "take c"}])
    write_rows(test, [*clean_preferences()[20:], again])
    _, record = linted(capsys, train, test)
    assert codes(record) == {"in-two-files"} and record["num_given"] == 25
    assert record["findings"][0]["places"] == [f"{test}:5 (as {train}:4)"]
    assert codes(linted(capsys, test)[1]) == set()


def test_a_data_set_of_pairs_is_linted_with_both_its_splits(
    tmp_path: Path, capsys: Capture
) -> None:
    pytest.importorskip("pyarrow")
    pytest.importorskip("datasets")
    runs = [r for task in "abcd" for r in renamed(clean_runs()[:6], task)]
    write_trajectories(tmp_path / "runs.jsonl", runs)
    options = ["-o", f"{tmp_path / 'dpo'}/", "--holdout", "0.25"]
    assert main(["pairs", str(tmp_path / "runs.jsonl"), *options]) == 0
    capsys.readouterr()
    status, record = linted(capsys, tmp_path / "dpo")
    assert (status, codes(record), record["num_given"]) == (0, set(), 4)


def renamed(runs: list[Trajectory], task: str) -> list[Trajectory]:
    return [replace(r, task_id=task, prompt=(Message("user", f"Do {task}."),)) for r in runs]


def test_what_a_terminal_would_obey_is_shown(tmp_path: Path, capsys: Capture) -> None:
    write_trajectories(tmp_path / "r.jsonl", [run("\x1b[2J", ["a"], 0.0), run("b", ["a"], 9.0)])
    main(["lint", str(tmp_path / "r.jsonl")])
    assert "\x1b" not in capsys.readouterr().out


# A model ------------------------------------------------------------------------------------------


@pytest.mark.train
def test_with_a_tokenizer_all_rules_are_asked(tmp_path: Path, capsys: Capture) -> None:
    pytest.importorskip("transformers")
    from support.tiny_models import tiny_tokenizer

    tiny_tokenizer().save_pretrained(tmp_path / "model")
    rows = write_rows(tmp_path / "rows.jsonl", clean_preferences())
    model = ["--model", tmp_path / "model"]
    status, record = linted(capsys, rows, *model)
    assert (status, codes(record), record["not_run"]) == (0, set(), {})
    status, record = linted(capsys, rows, *model, "--max-length", 4)
    assert status == 1 and {"too-long", "cut-by-trl"} <= codes(record)
    status, record = linted(capsys, rows, *model, "--chat-template", "plain")
    assert status == 0


# Real runs ----------------------------------------------------------------------------------------


def alfworld_runs(num_games: int, *, is_numbered: bool) -> list[Trajectory]:
    """Expert runs, each also cut in half by a step limit, and one that leaves the path by a word
    that the game does not know; `is_numbered`: with the number of the episode in every answer."""
    runs: list[Trajectory] = []
    with gzip.open(ALFWORLD, "rt", encoding="utf-8") as file:
        for line, _ in zip(file, range(num_games), strict=False):
            game = json.loads(line)
            said, acted = game["gt"][0::2], game["gt"][1::2]
            prompt = (Message("user", f"{said[0]}\n{game['task']}"),)
            steps = list(zip(acted, said[1:], strict=False))
            half = len(steps) // 2
            lost = ("look about", "Nothing happens.")
            for played, score in (
                (steps, 1.0),
                (steps[:half], 0.0),
                ([*steps[: half + 1], lost], 0.0),
            ):
                counter = f"[{len(runs)}] " if is_numbered else ""
                turns = [Step(a, f"{counter}{o}", render_turn("", a)) for a, o in played]
                status: Status = "done" if score else "truncated"
                runs.append(Trajectory(game["id"], prompt, tuple(turns), score, status))
    return runs


@pytest.mark.skipif(not ALFWORLD.is_file(), reason="no ALFWorld runs: set $ALFWORLD_DATA")
def test_lints_the_runs_of_alfworlds_experts(tmp_path: Path, capsys: Capture) -> None:
    write_trajectories(tmp_path / "runs.jsonl", alfworld_runs(150, is_numbered=False))
    status, record = linted(capsys, tmp_path / "runs.jsonl")
    assert status == 0 and record["num_given"] == record["num_linted"] == 450
    assert "never-merging" not in codes(record)  # one action, one answer
    assert codes(record) <= {
        *("single-run-rows", "same-opening", "length-bias", "chosen-action-later"),
        *("observations-in-loss",),
    }

    write_trajectories(tmp_path / "runs.jsonl", alfworld_runs(150, is_numbered=True))
    status, record = linted(capsys, tmp_path / "runs.jsonl")
    (found,) = (f for f in record["findings"] if f["code"] == "never-merging")
    assert "--normalize numbers " in found["fix"]
    before, after = (
        re.findall(r"([\d.]+)% ", found["effect"])[0],
        re.findall(r"-> ([\d.]+)%", found["effect"])[0],
    )
    assert float(before) < 1 and float(after) > 30
    status, record = linted(capsys, tmp_path / "runs.jsonl", "--normalize", "numbers")
    assert "never-merging" not in codes(record)
