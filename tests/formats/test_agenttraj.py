"""AgentTraj: its flags say what is the agent's to learn."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from support.agenttraj_runs import asked, inferred, message, published
from support.mangled import mangled
from support.played_runs import RUNS

from w2stree import InvalidInput, Message, Step, ToolCall, Trajectory
from w2stree.formats import agenttraj
from w2stree.formats.agenttraj import learned_turns
from w2stree.formats.reader import Choices, Reader
from w2stree.formats.reading import read_files, read_trajectories, recognised
from w2stree.formats.writing import write_trajectories

WON, LOST, CUT = RUNS


def read(record: Any, where: str = "here", **choices: Any) -> Trajectory:
    (run,) = agenttraj.runs(record, where, Reader(Choices(**choices)))
    return run


def with_flags(*flags: bool | None) -> dict[str, Any]:
    """The last run, its turns with these flags."""
    record, given = inferred(CUT), iter(flags)
    for said in record["conversations"][3:]:
        if said["from"] == "gpt":
            said["loss"] = next(given)
    return record


def test_the_prompt_ends_at_the_first_turn_to_be_learned() -> None:
    run = read(inferred(WON))
    assert [m.content for m in run.prompt] == [WON.instruction, "Ok.", "Take the cup."]
    assert run.steps == tuple(
        Step(t.action, t.answer, f"Thought:\n{t.thought}\n\nAction:\n{t.action}") for t in WON.turns
    )
    assert (run.task_id, run.total_return, run.status, run.info) == ("kitchen_1", 1.0, "done", {})


def test_turns_that_are_not_to_be_learned_are_read_and_told() -> None:
    run = read(with_flags(True, False, None))
    assert len(run.steps) == 3
    assert run.info["learned_turns"] == [True, False, False]
    assert learned_turns([run, read(inferred(WON))]) == [[True, False, False], [True, True]]
    assert learned_turns([read(inferred(WON))]) is None


def test_flags_of_the_first_turns_make_the_prompt_longer() -> None:
    run = read(with_flags(False, True, True))
    assert [m.role for m in run.prompt] == ["user", "assistant", "user", "assistant", "user"]
    assert [step.action for step in run.steps] == ["wait", "wait"]


def test_a_chosen_prompt_has_flags_for_what_is_after_it() -> None:
    run = read(with_flags(False, True, True), prompt=3)
    assert run.info["learned_turns"] == [False, True, True]


def test_the_trajectory_set_has_no_reward() -> None:
    with pytest.raises(InvalidInput, match=r"here: no reward at reward, success; .*item_id.*=1\.0"):
        read(published(WON))
    assert read(published(WON), reward=1.0).total_return == 1.0
    run = read(published(LOST) | {"success": 0})
    assert (run.total_return, run.steps[-1].observation) == (0.0, "")


def test_files(tmp_path: Path) -> None:
    (tmp_path / "inference_iter_1.jsonl").write_text(
        "".join(json.dumps(inferred(run)) + "\n" for run in RUNS)
    )
    (tmp_path / "webshop_train.json").write_text(json.dumps([inferred(run) for run in RUNS]))
    read = read_files(tmp_path)
    assert list(read.formats.values()) == ["agenttraj", "agenttraj"]
    assert read.reading.trajectories[:3] == read.reading.trajectories[3:]
    assert read.found["task"] == {"item_id": 6}


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.parquet"])
def test_what_is_written_is_read_back_equal(name: str, tmp_path: Path) -> None:
    step = Step("look", "A cup.", "I look.\nAction: look", (1, 2), (-0.5, -1.0), 0.25)
    runs = [
        read(inferred(WON)),
        read(with_flags(True, False, True)),
        read(inferred(LOST)),
        Trajectory("t", (Message("user", "Go."),), (step,), 0.5, "truncated", info={"x": [1]}),
        Trajectory("t", (), (step,), 0.5, "error"),
    ]
    write_trajectories(tmp_path / name, runs, format="agenttraj")
    assert read_trajectories(tmp_path / name) == runs


def test_what_is_written_has_the_flags_of_what_was_read() -> None:
    record = with_flags(True, False, False)
    assert agenttraj.record_of(read(record)) == record


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda t: replace(t, prompt=(Message("system", "s"),)), "a message of the system"),
        (lambda t: replace(t, steps=()), "it has no turns"),
        (lambda t: replace(t, info={"learned_turns": [False]}), "first turn is not to be learned"),
        (
            lambda t: replace(t, steps=(Step("f {}", "", tool_calls=(ToolCall("f"),)),)),
            "it has tool calls",
        ),
    ],
)
def test_what_agenttraj_has_no_place_for_is_refused(change: Any, reason: str) -> None:
    run = Trajectory("t", (Message("user", "Go."),), (Step("a", "", "Action: a"),), 1.0, "done")
    with pytest.raises(InvalidInput, match=f"task 't': .*{reason}"):
        agenttraj.record_of(change(run))


def test_flags_of_another_length_are_refused() -> None:
    run = replace(read(inferred(WON)), info={"learned_turns": [True]})
    with pytest.raises(InvalidInput, match=r"trajectories\[0\].*no array of 2 truths"):
        learned_turns([run])


HUMAN, GPT = message("human", "Go."), message("gpt", "Action: a", loss=True)

BAD: list[tuple[Any, str]] = [
    (None, r"conversations is null: a task of AgentEval, .*give runs of it"),
    ({}, r"conversations is dict; expected an array"),
    ([], r"no turn of gpt's has a loss that is true, .*\(prompt=, --prompt\)"),
    ([HUMAN, GPT | {"loss": False}], r"no turn of gpt's has a loss that is true"),
    ([HUMAN, GPT | {"loss": 1}], r"conversations\[1\]: loss is 1; expected true, false or null"),
    ([HUMAN | {"loss": True}, GPT], r"conversations\[0\] is from 'human' and its loss is true"),
    ([HUMAN | {"from": "tool"}, GPT], r"conversations\[0\] is from 'tool'; use human, gpt, system"),
    ([HUMAN | {"value": None}, GPT], r"conversations\[0\]: value is NoneType; expected a string"),
    ([3], r"conversations\[0\] is int; expected an object"),
]


@pytest.mark.parametrize(("conversations", "told"), BAD)
def test_what_is_no_run_is_refused_by_its_place(conversations: Any, told: str) -> None:
    record = {"item_id": "a_1", "reward": 1.0, "conversations": conversations}
    assert agenttraj.recognises(record)
    with pytest.raises(InvalidInput, match=f"^here: {told}"):
        read(record)


def test_other_formats_are_not_taken_for_it() -> None:
    plain = {"conversations": [{"from": "human", "value": "Go."}]}
    for record in (plain, {"conversations": []}, {"item_id": "x"}, [], "x", None):
        assert not agenttraj.recognises(record)
    for record in (published(WON), inferred(WON), asked(WON)):
        assert recognised(record) is agenttraj.FORMAT


@given(mangled([published(WON) | {"reward": 1}, inferred(CUT), with_flags(True, False, None)]))
def test_nearly_right_records_are_read_or_refused(record: Any) -> None:
    if not agenttraj.recognises(record):
        return
    try:
        run = read(record)
    except InvalidInput as error:
        assert str(error).startswith("here")
    else:
        assert Trajectory.from_json(run.to_json()) == run
        flags = learned_turns([run])
        assert flags is None or len(flags[0]) == len(run.steps)
