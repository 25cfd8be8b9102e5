"""`w2stree analyse`: a finished run measured, kept beside it; and what it is refused for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("pydantic")

from w2stree import Message, Step, Trajectory, write_trajectories
from w2stree.cli.app import main
from w2stree.experiment.run_json import write_json

RUN = Trajectory(
    "t",
    (Message("user", "Tidy up."),),
    (Step("take cup", "Taken.", "", reward=0.5), Step("put cup", "Done.", "", reward=0.0)),
    0.5,
    "done",
)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run in a folder of runs, with two methods tested."""
    folder = tmp_path / "runs" / "mine"
    config = {"max_length": 512, "evaluate": {"success_threshold": 1.0}}
    for method, steps in (("sft_weak", 2), ("tree_dpo", 1)):
        stage = folder / f"evaluate_{method}"
        stage.mkdir(parents=True)
        played = replace(RUN, steps=RUN.steps[:steps])
        write_trajectories(stage / "trajectories.jsonl", [played])
        write_json(stage / "manifest.json", {})
    write_json(folder / "config.json", config)
    return folder


def test_the_table_is_shown_and_kept_in_the_run(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["analyse", "bias", str(run), "--before", "sft_weak"]) == 0
    shown = capsys.readouterr().out
    rows = [line.split("  ")[0] for line in shown.splitlines()]
    assert rows[1:4] == ["sft_weak", "tree_dpo", "tree_dpo - sft_weak"]
    kept = run / "analyses"
    assert shown.startswith((kept / "bias.txt").read_text())
    found = json.loads((kept / "bias.json").read_text())
    assert found["methods"]["sft_weak"]["turns"]["unpaid_put"] == 0.5
    assert (
        main(["analyse", "bias", str(run), "--methods", "tree_dpo", "--out", str(kept / "x")]) == 0
    )
    assert list(json.loads((kept / "x" / "bias.json").read_text())["methods"]) == ["tree_dpo"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bias", "RUNS/mien"], "RUNS/mien: no such directory; did you mean mine? give a run"),
        (["bias", "RUNS"], "RUNS: is no run directory: it is a folder of them; give one: mine"),
        (["bias", "RUNS/mine/evaluate_sft_weak"], "it is a stage of one; give RUNS/mine"),
        (["bias", "RUNS/.."], "it has no config.json; give a directory that `w2stree run` made"),
        (
            ["bias", "RUNS/mine", "--methods", "tree_dop"],
            "tree_dop has no test episodes; did you mean tree_dpo? there are those of sft_weak",
        ),
        (["bias", "RUNS/mine", "--weak", "eto"], "eto has no test episodes; there are those of"),
        (["bias", "RUNS/mine", "--before", "eto"], "eto has no test episodes; there are those of"),
        (["bias", "RUNS/mine", "--methods", ","], "--methods ',': names none; leave it out for"),
        (["bias"], "Missing argument 'RUN_DIR'."),
        (["bais", "RUNS/mine"], "No such command 'bais'. Did you mean 'bias'?"),
        (["divergence_cause", "RUNS/mine"], "the stage continuations has not finished, so no"),
        (["assumption", "RUNS/mine"], "Missing option '--after'."),
        (
            ["assumption", "RUNS/mine", "--after", "evaluate_tree_dpo"],
            "manifest.json: No such file or directory; finish the stage sft_strong, or name anoth",
        ),
        (
            ["assumption", "RUNS/mine", "--after", "x", "--before", "evaluate_tree_dop"],
            "did you mean evaluate_tree_dpo? finish the stage evaluate_tree_dop, or name another m",
        ),
        (
            ["assumption", "RUNS/mine", "--after", "x", "--before", "evaluate_tree_dpo"],
            "evaluate_tree_dpo/model: is missing; name a stage that trains a model, or put",
        ),
        (["assumption", "RUNS/mine", "--after", "x", "--max-rows", "0"], "'--max-rows': 0; give"),
    ],
)
def test_what_cannot_be_measured_is_refused_with_what_there_is(
    run: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if arguments[0] == "assumption":
        pytest.importorskip("trl")
    runs = str(run.parent)
    assert main(["analyse", *(word.replace("RUNS", runs) for word in arguments)]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert message.replace("RUNS", runs) in told.err


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"max_length": 5}, "evaluate.success_threshold: is no number"),
        ({"max_length": "5", "evaluate": {"success_threshold": 1}}, "max_length: is no number"),
        ([], "evaluate.success_threshold: is no number"),
    ],
)
def test_a_configuration_of_something_else_is_named(
    run: Path, record: object, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_json(run / "config.json", record)
    assert main(["analyse", "bias", str(run)]) == 2
    assert f"config.json: {message}" in capsys.readouterr().err


def test_a_lost_file_is_named(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "evaluate_tree_dpo" / "trajectories.jsonl").unlink()
    assert main(["analyse", "bias", str(run)]) == 2
    told = capsys.readouterr().err
    assert "evaluate_tree_dpo/trajectories.jsonl: is missing; " in told
    assert "--force evaluate_tree_dpo" in told


def test_a_damaged_table_of_causes_is_named(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, record in (("manifest", {}), ("divergence_cause", {"all": 1})):
        (run / "continuations").mkdir(exist_ok=True)
        write_json(run / "continuations" / f"{name}.json", record)
    assert main(["analyse", "divergence_cause", str(run)]) == 2
    assert "redo the stage with --force continuations" in capsys.readouterr().err
