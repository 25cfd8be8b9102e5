"""tau-bench's results: tool calls, a simulated user, trials."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from support import tau_bench_runs as samples
from support.mangled import mangled
from support.tau_bench_runs import CANCELLED, REFUSED, failed, result, worded

from w2stree import InvalidInput, Message, Step, ToolCall, Trajectory, build_forest
from w2stree.formats import tau_bench
from w2stree.formats.reader import Choices, Reader
from w2stree.formats.reading import read_files, read_trajectories, recognised


def read(record: Any, where: str = "here", **choices: Any) -> Trajectory:
    (run,) = tau_bench.runs(record, where, Reader(Choices(**choices)))
    return run


def test_a_run_is_calls_and_replies() -> None:
    run = read(result(*CANCELLED))
    assert run.prompt == (
        Message("system", samples.POLICY),
        Message("user", "Cancel my order, please."),
    )
    call = ToolCall("cancel_order", '{"order":"A1"}', "call_cancel_order")
    assert run.steps == (
        Step("Which one?", "A1.", "Which one?"),
        Step('cancel_order {"order":"A1"}', '{"status": "cancelled"}', "", tool_calls=(call,)),
        Step("It is cancelled.", "###STOP###", "It is cancelled."),
    )
    assert (run.task_id, run.total_return, run.status) == ("3", 1.0, "done")
    assert run.info["trial"] == 0
    assert run.info["info"]["task"] == samples.TASK
    assert set(run.info) == {"trial", "info"}


def test_a_run_that_the_step_limit_cut_was_not_rewarded() -> None:
    run = read(result(*CANCELLED[:4], is_cut=True))
    assert (run.status, run.total_return) == ("truncated", 0.0)


def test_a_failure_outside_is_no_failed_run() -> None:
    run = read(failed())
    assert (run.status, run.steps, run.prompt) == ("error", (), ())
    assert run.origin.error == "RateLimitError: slow down"


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ({"name": "look_up", "arguments": {"order": "A1"}}, None),
        ({"name": "respond", "arguments": {"content": "Which one?"}}, None),
    ],
)
def test_agents_that_name_their_tools_in_words(action: dict[str, Any], expected: None) -> None:
    run = read(result(*worded(("I see.", action, "API output: A1"))))
    assert run.steps[0].action == json.dumps(action)
    assert run.steps[0].response == f"Thought:\nI see.\nAction:\n{json.dumps(action)}"


def test_what_a_reply_quotes_is_no_action() -> None:
    reply = samples.reply("The manual says 'Action: cancel'.")
    run = read(result(*CANCELLED[:4], reply, samples.user("###STOP###")))
    assert run.steps[-1].action == reply["content"]


def test_what_stands_beside_a_message_is_kept() -> None:
    said = samples.reply("Which one?") | {"reasoning_content": "Hm."}
    assert read(result(said)).info["messages"] == {"2": {"reasoning_content": "Hm."}}


def test_a_file_of_trials(tmp_path: Path) -> None:
    file = tmp_path / "tool-calling-gpt-4o-0.0.json"
    trials = [
        result(*CANCELLED),
        result(*REFUSED, trial=1, reward=0.0),
        failed(trial=2),
        result(*CANCELLED, task_id=4, asks="Please cancel A2."),
    ]
    file.write_text(json.dumps(trials, indent=2))
    read = read_files(file)
    assert read.formats == {file: "tau_bench"}
    assert read.found["status"] == {"done, by info.reward_info": 3, "error, by info.error": 1}
    assert read.found["action"] == {"as the format says": 3}
    forest = build_forest(read.reading.trajectories)
    assert sorted(forest) == ["3", "4"]
    (pair,) = forest.pairs()
    assert pair.chosen.steps[1].tool_calls[0].name == "cancel_order"


def test_a_users_other_words_are_another_opening(tmp_path: Path) -> None:
    """The forest refuses them under one task, unless one opening is asked for."""
    file = tmp_path / "results.json"
    trials = [
        failed(),
        result(*CANCELLED, trial=1),
        result(*REFUSED, asks="Hi.", trial=2, reward=0.0),
    ]
    file.write_text(json.dumps(trials))
    with pytest.raises(InvalidInput, match="different prompts"):
        build_forest(read_trajectories(file))
    read = read_files(file, one_opening=True)
    failure, first, other = read.reading.trajectories
    assert failure.prompt == ()
    assert first.prompt == other.prompt
    assert other.info["opening"][1] == {"role": "user", "content": "Hi."}
    told = "of task '3' message 2 is 'Cancel my order, please.', another's 'Hi.'"
    assert read.found["opening"] == {"its own": 1, f"its task's first: {told}": 1}
    assert len(build_forest(read.reading.trajectories).pairs()) == 1


def changed(i: int, **changes: Any) -> dict[str, Any]:
    record = result(*CANCELLED)
    record["traj"] = [dict(m) for m in record["traj"]]
    record["traj"][i] |= changes
    return record


NO_TEXT = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": [1]}}]

BAD: list[tuple[dict[str, Any], str]] = [
    (result() | {"reward": None}, r"here: no reward at reward; .*\(reward=, --reward-field\)"),
    (result() | {"reward": "1"}, r"here: reward is '1'; expected a finite number"),
    (result() | {"info": []} | {"info": [1]}, r"here: info is list; expected an object"),
    (result("x"), r"here: traj\[2\] is str; expected an object"),  # type: ignore[arg-type]
    (changed(2, role="agent"), r"here: message 3 has the role 'agent'; use system, user"),
    (changed(2, content=3), r"here: traj\[2\]: content is int; expected an array"),
    (changed(4, tool_calls=NO_TEXT), r"here: traj\[4\]: tool_calls\[0\]: f: arguments are"),
    (changed(5, tool_call_id="c9"), r"here: .*a tool answers a call 'c9' that it did not make"),
    (changed(4, tool_calls=None), r"here: .*a tool answers it, and it called none"),
]


@pytest.mark.parametrize(("record", "told"), BAD)
def test_what_is_no_run_is_refused_by_its_place(record: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidInput, match=f"^{told}"):
        read(record)


def test_other_formats_are_not_taken_for_it() -> None:
    for record in ({"traj": []}, {"task_id": 1, "reward": 1, "traj": "x"}, [], "x", None):
        assert not tau_bench.recognises(record)
    for record in (result(*CANCELLED), failed()):
        assert recognised(record) is tau_bench.FORMAT


@given(
    mangled(
        [result(*CANCELLED), failed(), result(*worded(("I see.", {"name": "f"}, "API output: 1")))]
    )
)
def test_nearly_right_records_are_read_or_refused(record: Any) -> None:
    if not tau_bench.recognises(record):
        return
    try:
        run = read(record)
    except InvalidInput as error:
        assert str(error).startswith("here")
    else:
        assert Trajectory.from_json(run.to_json()) == run
