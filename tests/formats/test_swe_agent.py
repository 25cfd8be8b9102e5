"""SWE-agent's `.traj` files, of its versions."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from support import swe_agent_runs as samples
from support.mangled import mangled
from support.played_runs import CUP, LOOK, RUNS

from w2stree import InvalidInput, Message, Step, ToolCall, Trajectory, build_forest
from w2stree.formats import swe_agent
from w2stree.formats.reader import Choices, Reader
from w2stree.formats.reading import read_files, read_trajectories, recognised

WON, LOST, CUT = RUNS


def read(record: Any, where: str = "cup-1.traj", **choices: Any) -> Trajectory:
    (run,) = swe_agent.runs(record, where, Reader(Choices(**{"reward": 1.0} | choices)))
    return run


def test_a_run_is_what_its_model_said_and_read() -> None:
    run = read(samples.run_of(WON))
    assert [m.role for m in run.prompt] == ["system", "user", "user"]
    assert run.prompt[-1] == Message("user", "Take the cup.")
    calls = [ToolCall("look", "{}", "call_0"), ToolCall("take", '{"what":"cup"}', "call_1")]
    assert run.steps == tuple(
        Step(
            f"{call.name} {call.arguments}",
            f"OBSERVATION:\n{turn.answer}",
            turn.thought,
            tool_calls=(call,),
        )
        for turn, call in zip((LOOK, CUP), calls, strict=True)
    )
    assert (run.task_id, run.status) == ("cup-1", "done")
    assert run.info["info"]["submission"] == "diff --git a/x b/x\n"
    assert "asked_again" not in run.info


def test_what_its_model_thought_is_kept() -> None:
    record = samples.run_of(WON)
    record["history"][3]["thinking_blocks"] = [{"type": "thinking", "thinking": "Hm."}]
    assert read(record).info["messages"] == {
        "3": {"thinking_blocks": [{"type": "thinking", "thinking": "Hm."}]}
    }


def test_runs_of_0_7_have_the_action_that_was_run() -> None:
    run = read(samples.of_0_7(WON))
    assert [step.action for step in run.steps] == ["look\n", "take cup\n"]
    assert run.steps[0].response == "I do not know this room.\n```\nlook\n```"


def test_a_run_without_its_history_begins_with_the_first_query() -> None:
    record = samples.run_of(WON, calls=False)
    del record["history"]
    run = read(record)
    assert [m.role for m in run.prompt] == ["system", "user", "user"]
    assert [(step.action, step.observation) for step in run.steps] == [
        (turn.action, turn.answer) for turn in (LOOK, CUP)
    ]


def test_what_was_refused_and_said_again_is_no_step_and_not_lost() -> None:
    run = read(samples.asked_again(WON))
    assert [step.action for step in run.steps] == ["look", "take cup"]
    assert run.info["asked_again"] == [
        {"before_step": 2, "response": "I will take it.", "action": "", "observation": ""}
    ]


def test_words_of_swe_agents_own_are_no_turn() -> None:
    record = samples.autosubmitted(WON)
    run = read(record)
    assert [step.action for step in run.steps] == ["look {}", 'take {"what":"cup"}']
    assert (run.status, run.origin.truncated_by) == ("truncated", "cost")
    del record["history"]
    assert len(read(record).steps) == 2


@pytest.mark.parametrize(
    ("exit_status", "status"),
    [
        ("submitted", "done"),
        ("exit_command", "done"),
        ("submitted (exit_forfeit)", "done"),
        ("exit_cost", "truncated"),
        ("submitted (exit_context)", "truncated"),
        ("exit_format", "truncated"),
        ("exit_total_execution_time", "truncated"),
        ("submitted (exit_command_timeout)", "truncated"),
        ("exit_of_a_later_version", "truncated"),
        ("exit_api", "error"),
        ("submitted (exit_error)", "error"),
        ("exit_environment_error", "error"),
        ("submitted (None)", "error"),
        ("early_exit", "error"),
        (None, "error"),
    ],
)
def test_how_a_run_ended(exit_status: str | None, status: str) -> None:
    assert read(samples.run_of(WON, exit_status=exit_status)).status == status


def test_a_runs_reward_is_not_in_its_file() -> None:
    with pytest.raises(
        InvalidInput, match=r"cup-1\.traj: no reward at .*\(reward=, --reward-field"
    ):
        read(samples.run_of(WON), reward=None)
    assert read(samples.run_of(WON) | {"resolved": True}, reward=None).total_return == 1.0
    assert read(samples.run_of(WON, exit_status="exit_api"), reward=None).status == "error"


def test_attempts_are_runs_and_the_best_ones_copy_is_none() -> None:
    record = samples.tried_again([WON, LOST], best=0)
    record["attempts"][0]["reward"], record["attempts"][1]["reward"] = 1.0, 0.0
    runs = list(swe_agent.runs(record, "cup-1.traj", Reader()))
    assert [run.total_return for run in runs] == [1.0, 0.0]
    assert {run.task_id for run in runs} == {"cup-1"}
    (pair,) = build_forest(runs).pairs()
    assert pair.chosen.steps[-1].action == 'take {"what":"cup"}'


def test_a_demonstration_may_be_another_agents() -> None:
    demonstrated = [dict(item) for item in samples.run_of(LOST, calls=False)["history"]]
    for item in demonstrated:
        item |= {"is_demo": True, "agent": "primary"}
    record = samples.run_of(WON)
    record["history"][1:2] = demonstrated[3:]
    run = read(record)
    assert [m.role for m in run.prompt] == ["system", *["assistant", "user"] * 2, "user"]
    assert [step.tool_calls[0].name for step in run.steps] == ["look", "take"]


def test_a_folder_of_instances(tmp_path: Path) -> None:
    for name, run in (("cup-1", WON), ("lid-2", CUT)):
        samples.write(tmp_path, name, samples.run_of(run) | {"reward": run.score})
        (tmp_path / name / f"{name}.config.yaml").write_text("agent: {}\n")
    read = read_files(tmp_path, recursive=True)
    assert [run.task_id for run in read.reading.trajectories] == ["cup-1", "lid-2"]
    assert read.found["task"] == {"the file's name": 2}
    assert read.found["action"] == {"tool calls": 2}


REPORT = {"resolved_ids": ["cup-1"], "unresolved_ids": ["lid-2"], "error_ids": ["pan-3"]}


def test_what_was_resolved_is_read_of_the_report_beside(tmp_path: Path) -> None:
    for name, run in (("cup-1", WON), ("lid-2", CUT), ("pan-3", LOST)):
        samples.write(tmp_path, name, samples.run_of(run))
    (tmp_path / "results.json").write_text(json.dumps(REPORT))
    read = read_files(tmp_path, recursive=True)
    one, two, three = read.reading.trajectories
    assert (one.total_return, two.total_return) == (1.0, 0.0)
    assert (three.status, three.origin.error) == ("error", "its evaluation ended in an error")
    assert read.found["reward"] == {"results.json.resolved": 2}
    (tmp_path / "results.json").write_text(json.dumps({"resolved": ["cup-1"], "applied": []}))
    with pytest.raises(InvalidInput, match=r"lid-2\.traj: no reward"):
        read_trajectories(tmp_path, recursive=True)  # nobody evaluated it


def test_a_report_is_of_the_attempt_that_was_handed_in(tmp_path: Path) -> None:
    samples.write(tmp_path, "cup-1", samples.tried_again([LOST, WON], best=1))
    (tmp_path / "cup-1" / "results.json").write_text(json.dumps(REPORT))
    first, best = read_trajectories(tmp_path, recursive=True)
    assert (first.status, best.status, best.total_return) == ("error", "done", 1.0)


@pytest.mark.parametrize("text", ["{", "[]", '{"score": 1}', '{"resolved_ids": 3}'])
def test_another_tools_results_are_no_report(text: str, tmp_path: Path) -> None:
    samples.write(tmp_path, "cup-1", samples.run_of(WON))
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(InvalidInput, match="no reward"):
        read_trajectories(tmp_path, recursive=True)


def test_what_its_own_agent_did_is_chosen_otherwise(tmp_path: Path) -> None:
    samples.write(tmp_path, "cup-1", samples.run_of(WON, calls=False))
    (run,) = read_trajectories(
        tmp_path / "cup-1", reward=lambda r: 0.5, task="environment", action=r"```\n(.*)\n```"
    )
    assert (run.total_return, run.task_id) == (0.5, "main")
    assert [step.action for step in run.steps] == ["look", "take cup"]


def changed(**changes: Any) -> dict[str, Any]:
    return samples.run_of(WON) | changes


def in_history(i: int, **changes: Any) -> dict[str, Any]:
    record = samples.run_of(WON)
    record["history"][i] |= changes
    return record


PICTURE = [{"type": "image_url", "image_url": {"url": "data:"}}]
NO_NAME = [{"id": "c", "function": {"arguments": "{}"}}]
NO_TEXT = [{"id": "c", "function": {"name": "look", "arguments": [1]}}]

BAD: list[tuple[dict[str, Any], str]] = [
    (changed(trajectory={"a": 1}, history=[]), r"trajectory is dict; expected an array"),
    (changed(trajectory=["x"]), r"trajectory\[0\] is str; expected an object"),
    (changed(history={"a": 1}), r"history is dict; expected an array"),
    (changed(history=["x"]), r"history\[0\] is str; expected an object"),
    (changed(info=[1]), r"info is list; expected an object"),
    (changed(attempts={"a": 1}), r"attempts is dict; expected an array"),
    (changed(attempts=[3]), r"attempts\[0\] is int; expected an object"),
    (changed(history=[], trajectory=[{"query": 3}]), r"query is int; expected an array"),
    (changed(history=[], trajectory=[{"query": []}]), r"trajectory\[0\]: response is NoneType"),
    (in_history(1, role="bot"), r"message 2 has the role 'bot'; use system, user"),
    (in_history(1, role=None), r"history\[1\]: role is NoneType; expected a string"),
    (in_history(2, content=PICTURE), r"history\[2\]: content\[0\] is of the type 'image_url'"),
    (in_history(3, tool_calls=NO_NAME), r"history\[3\]: tool_calls\[0\]: name is NoneType"),
    (in_history(3, tool_calls=NO_TEXT), r"history\[3\]: tool_calls\[0\]: look: arguments are"),
    (in_history(4, tool_call_ids=["other"]), r"a tool answers a call 'other' that it did not make"),
    (in_history(4, tool_call_ids=3), r"history\[4\]: tool_call_ids is int; expected an array"),
    (in_history(3, agent="editor"), r"history is of several agents \(editor, main\); .*keep the"),
    (in_history(3, action=3, tool_calls=None), r"history\[3\]: action is int; expected a string"),
]


@pytest.mark.parametrize(("record", "told"), BAD)
def test_what_is_no_run_is_refused_by_its_place(record: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidInput, match=f"^here.*{told}"):
        read(record, "here")


def test_other_formats_are_not_taken_for_it() -> None:
    others = (
        {"trajectory": [{"prompt": [], "completion": []}], "reward": 1.0},
        {"trajectory": [{"role": "user", "text": "x"}], "info": {}},
        {"history": [], "info": {}},
        {"attempts": 3},
        *([], "x", None),
    )
    assert not any(map(swe_agent.recognises, others))
    for record in (samples.run_of(WON), samples.of_0_7(WON), samples.tried_again([WON], 0)):
        assert recognised(record) is swe_agent.FORMAT


@given(
    mangled(
        [
            samples.run_of(WON) | {"reward": 1.0},
            samples.of_0_7(LOST) | {"reward": 1.0},
            samples.autosubmitted(CUT) | {"reward": 1.0},
            samples.asked_again(WON) | {"reward": 1.0},
            {k: v for k, v in samples.asked_again(WON).items() if k != "history"} | {"reward": 1.0},
            json.loads(json.dumps(samples.tried_again([LOST, WON], best=1))),
        ]
    )
)
def test_nearly_right_records_are_read_or_refused(record: Any) -> None:
    if not swe_agent.recognises(record):
        return
    try:
        runs = list(swe_agent.runs(record, "here", Reader()))
    except InvalidInput as error:
        assert str(error).startswith("here")
    else:
        assert [Trajectory.from_json(run.to_json()) for run in runs] == runs


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("suffix", [".traj", ".json", ".traj.gz"])
def test_a_file_of_one_run_is_read_alike_however_it_is_laid_out(
    indent: int | None, suffix: str, tmp_path: Path
) -> None:
    (tmp_path / "results.json").write_text(json.dumps({"resolved_ids": ["cup-1"]}))
    file = tmp_path / f"cup-1{suffix}"
    text = json.dumps(samples.run_of(WON), indent=indent).encode() + b"\n"
    file.write_bytes(gzip.compress(text) if suffix.endswith(".gz") else text)
    reading = read_files(file).reading
    (run,), (place,) = reading.trajectories, reading.places
    assert (run.task_id, run.total_return, place) == ("cup-1", 1.0, str(file))
