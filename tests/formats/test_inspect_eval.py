"""Logs of Inspect: scores as numbers, what ended a sample, zips as Inspect packs them; written."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.any_runs import RUNS
from support.foreign_run import PROMPT, STEPS
from support.foreign_runs import eval_file, inspect_header, inspect_sample
from support.zstd_zip import write_zstd_zip

from w2stree import InvalidInput, Trajectory
from w2stree.formats.inspect_eval import sample_of
from w2stree.formats.reader import Choices
from w2stree.formats.reading import read_files, read_trajectories
from w2stree.formats.writing import write_trajectories


def log(folder: Path, *samples: Any, **header: Any) -> Path:
    file = folder / "log.json"
    file.write_text(json.dumps(inspect_header() | {"samples": list(samples)} | header))
    return file


def read(folder: Path, **changes: Any) -> Trajectory:
    (run,) = read_trajectories(log(folder, inspect_sample() | changes))
    return run


@pytest.mark.parametrize(
    ("value", "number"),
    [
        *[("C", 1.0), ("I", 0.0), ("P", 0.5), ("N", 0.0), ("Yes", 1.0), ("false", 0.0)],
        *[("0.25", 0.25), (3, 3.0), (True, 1.0), (-0.5, -0.5)],
    ],
)
def test_scores_are_numbers_as_inspect_makes_them(
    value: Any, number: float, tmp_path: Path
) -> None:
    assert read(tmp_path, scores={"a": {"value": value}}).total_return == number


@pytest.mark.parametrize(
    ("scores", "reason"),
    [
        ({"a": {"value": "good"}}, r"samples\[0\]: scores\.a\.value is 'good'; expected a finite"),
        ({"a": {"value": [1, 0]}}, r"scores\.a\.value is \[1, 0\]; expected a finite number"),
        ({"a": {"value": 1}, "b.c": {"value": 0}}, r"2 scores: .*: scores\.a\.value, scores\.b\.c"),
        (
            {"a": {"value": float("nan")}},
            r"samples\[0\]: not scored: NaN or null at a; leave it out",
        ),
        ({}, r"no reward at .*; its fields are id, epoch,"),
        (None, r"no reward at "),
    ],
)
def test_a_score_that_is_no_one_number_is_refused(scores: Any, reason: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=reason):
        read(tmp_path, scores=scores)


def test_one_of_several_scores_is_chosen(tmp_path: Path) -> None:
    scores = {"a": {"value": "C"}, "b.c": {"value": {"x": "I", "y": 0.5}}}
    file = log(tmp_path, inspect_sample() | {"scores": scores})
    assert read_trajectories(file, reward="scores.a.value")[0].total_return == 1.0
    assert read_trajectories(file, reward="scores.b.c.value.y")[0].total_return == 0.5


@pytest.mark.parametrize(
    ("changes", "status", "told"),
    [
        ({"limit": {"type": "message", "limit": 9}}, "truncated", None),
        ({"limit": {"type": "token", "limit": 9}}, "truncated", "token"),
        ({"error": {"message": "reset", "traceback": ""}, "scores": None}, "error", "reset"),
    ],
)
def test_what_ended_a_sample(
    changes: dict[str, Any], status: str, told: str | None, tmp_path: Path
) -> None:
    run = read(tmp_path, **changes)
    assert run.status == status
    assert (run.origin.error or run.origin.truncated_by) == told


def test_a_turn_that_a_limit_ended_is_cut(tmp_path: Path) -> None:
    run = read(tmp_path, output={"choices": [{"stop_reason": "max_tokens"}]})
    assert [step.is_cut for step in run.steps] == [False, True]


def test_turns_of_examples_are_the_prompts(tmp_path: Path) -> None:
    sample = inspect_sample()
    sample["messages"][1:1] = [
        {"role": "user", "content": "Hi", "source": "input"},
        {"role": "assistant", "content": "Hello", "source": "input"},
    ]
    run = read(tmp_path, messages=sample["messages"])
    assert [m.role for m in run.prompt] == ["system", "user", "assistant", "user"]
    assert run.steps == STEPS


def test_a_log_packed_as_inspect_packs_it(tmp_path: Path) -> None:
    members = {name: json.dumps(value).encode() for name, value in eval_file().items()}
    scores = {"match": {"value": "P"}, "other": {"value": float("nan")}}  # not scored
    sample = json.dumps(inspect_sample() | {"scores": scores}).encode()
    write_zstd_zip(tmp_path / "log.eval", members | {"samples/7_epoch_1.json": sample})
    (run,) = read_trajectories(tmp_path / "log.eval")
    assert (run.prompt, run.steps, run.total_return) == (PROMPT, STEPS, 0.5)
    assert run.info["sample"]["scores"]["other"] == {"value": None}
    damaged = (tmp_path / "log.eval").read_bytes().replace(b"\x28\xb5\x2f\xfd", b"\x28\xb5\x2f\xfe")
    (tmp_path / "log.eval").write_bytes(damaged)
    with pytest.raises(InvalidInput, match=r"log\.eval: _journal/start\.json: a damaged member"):
        read_trajectories(tmp_path / "log.eval")


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_a_score_of_nan_costs_its_sample_alone(
    suffix: str, indent: int | None, tmp_path: Path
) -> None:
    scores = [{"match": {"value": value}} for value in ("C", float("nan"))]
    scores[0]["other"] = {"value": float("inf")}
    header = inspect_header() | {"samples": [inspect_sample() | {"scores": s} for s in scores]}
    file = tmp_path / f"log{suffix}"
    file.write_text(json.dumps(header, indent=indent) + "\n", encoding="utf-8")
    chosen = Choices(reward="scores.match.value")
    with pytest.raises(InvalidInput, match=r"samples\[1\]: no reward at scores\.match\.value"):
        read_files(file, choices=chosen)
    read = read_files(file, on_error="skip", choices=chosen)
    (run,) = read.reading.trajectories
    assert (run.steps, run.total_return, len(read.skipped)) == (STEPS, 1.0, 1)
    assert run.info["sample"]["scores"]["other"] == {"value": None}


def test_nan_is_refused_where_the_format_does_not_write_it(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    messages = [{"role": "assistant", "content": "a"}]
    file.write_text(json.dumps({"messages": messages, "reward": 1, "loss": float("nan")}))
    with pytest.raises(InvalidInput, match=r"a\.json: NaN at column \d+ is no number of JSON"):
        read_trajectories(file)


def test_of_a_sample_that_was_played_again_the_last_counts(tmp_path: Path) -> None:
    file = tmp_path / "log.eval"
    with zipfile.ZipFile(file, "w") as packed, pytest.warns(UserWarning, match="Duplicate name"):
        for value in ("I", "C"):
            sample = inspect_sample() | {"scores": {"match": {"value": value}}}
            packed.writestr("samples/7_epoch_1.json", json.dumps(sample))
        packed.writestr("header.json", json.dumps(inspect_header()))
    (run,) = read_trajectories(file)
    assert run.total_return == 1.0


def test_a_log_without_samples_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"log\.json: the log has no samples"):
        read_trajectories(log(tmp_path, samples=None))


def test_attempts_at_a_task_are_written_as_epochs(tmp_path: Path) -> None:
    runs = [
        Trajectory(task, PROMPT, STEPS, value, status)
        for task, value, status in (
            ("a/b", 1.0, "done"),
            ("a/b", 0.0, "truncated"),
            ("c\u202e", 0.0, "error"),
            ("x" * 300, 0.0, "done"),
        )
    ]
    write_trajectories(tmp_path / "log.eval", runs, format="inspect")
    with zipfile.ZipFile(tmp_path / "log.eval") as packed:
        names = [name for name in packed.namelist() if name.startswith("samples/")]
    assert names[:2] == ["samples/a/b_epoch_1.json", "samples/a/b_epoch_2.json"]
    assert {t.to_json() for t in read_trajectories(tmp_path / "log.eval")} == {
        t.to_json() for t in runs
    }
    assert read_files(tmp_path).reading.files == {tmp_path / "log.eval": 4}
    first = (tmp_path / "log.eval").read_bytes()
    write_trajectories(tmp_path / "log.eval", runs, format="inspect")
    assert (tmp_path / "log.eval").read_bytes() == first
    with pytest.raises(InvalidInput, match=r"log\.jsonl: logs of Inspect are written as \.eval"):
        write_trajectories(tmp_path / "log.jsonl", runs, format="inspect")


@given(run=RUNS)
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
def test_any_run_is_read_back_equal_or_refused(run: Trajectory, tmp_path: Path) -> None:
    try:
        write_trajectories(tmp_path / "log.eval", [run], format="inspect")
    except InvalidInput as error:
        assert str(error)
        return
    assert read_trajectories(tmp_path / "log.eval") == [run]


@given(name=st.text(max_size=120))
def test_whatever_a_task_is_called_its_sample_has_a_name(name: str) -> None:
    assert sample_of(Trajectory(name, PROMPT, (), 0.0, "done"))["id"] == name


@pytest.mark.parametrize(
    "name", ["../../x", "/x", "a/../../x", "..\\..\\x", ".", "", "\x1b/../../../x"]
)
def test_no_task_leads_out_of_the_folder_that_a_log_is_unpacked_to(
    tmp_path: Path, name: str
) -> None:
    run = Trajectory(name, PROMPT, (), 0.0, "done")
    write_trajectories(tmp_path / "log.eval", [run], format="inspect")
    with zipfile.ZipFile(tmp_path / "log.eval") as packed:
        (sample,) = (n for n in packed.namelist() if n.startswith("samples/"))
    assert sample.count("/") == 1
    assert "\\" not in sample
    assert read_trajectories(tmp_path / "log.eval") == [run]
