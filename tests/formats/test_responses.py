"""Items of the Responses API: what makes one turn, what the server keeps, what is written."""

from __future__ import annotations

from typing import Any

import pytest
from support.foreign_run import ANSWER, PROMPT, STEPS, THOUGHT
from support.foreign_runs import responses_request

from w2stree import Message, Step, ToolCall, Trajectory
from w2stree.formats.reader import Reader
from w2stree.formats.responses import recognises, record_of, runs


def read(record: dict[str, Any]) -> Trajectory:
    (run,) = runs(record, "here", Reader())
    return run


def test_thinking_and_what_else_items_have_comes_back_at_its_place() -> None:
    run = read(responses_request())
    assert run.info["items"]["1"]["encrypted_content"] == "x"
    written = record_of(run)
    assert written["instructions"] == PROMPT[0].content
    kinds = [item["type"] for item in written["input"]]
    assert kinds == [
        *("message", "reasoning", "message", "function_call", "function_call"),
        *("function_call_output", "function_call_output", "message"),
    ]
    assert written["input"][1]["summary"][0]["text"] == THOUGHT
    assert [item.get("id") for item in written["input"][:4]] == [None, "rs_1", "msg_1", "fc_1"]
    assert read(written) == run


def test_items_are_one_list_or_two_and_an_input_may_be_a_text() -> None:
    given = responses_request()
    items = given.pop("input") + given.pop("output")
    run = read({**given, "items": items})
    assert (run.prompt, run.steps) == (PROMPT, STEPS)
    answer = {"type": "message", "role": "assistant", "content": ANSWER}
    run = read({"input": "Hi.", "output": [answer], "reward": 1})
    assert run.prompt == (Message("user", "Hi."),)


def test_a_custom_tools_text_is_its_one_argument() -> None:
    call = {"type": "custom_tool_call", "call_id": "c1", "name": "patch", "input": "*** Begin"}
    told = {"type": "custom_tool_call_output", "call_id": "c1", "output": "Done!"}
    run = read({"input": [{"role": "user", "content": "Go."}, call, told], "reward": 0})
    calls = (ToolCall("patch", '{"input": "*** Begin"}', "c1"),)
    assert run.steps == (Step('patch {"input":"*** Begin"}', "Done!", tool_calls=calls),)


def test_a_developer_speaks_as_the_system_and_is_written_as_one() -> None:
    given = responses_request()
    given["input"].insert(0, {"role": "developer", "content": "Be brief."})
    run = read(given)
    assert [m.role for m in run.prompt] == ["system", "system", "user"]
    assert record_of(run)["input"][0]["role"] == "developer"


def test_a_turn_that_a_limit_ended_is_cut() -> None:
    given = responses_request()
    given["output"][0]["status"] = "incomplete"
    assert [step.is_cut for step in read(given).steps] == [False, True]


def test_turns_without_an_answer_between_them_stay_two() -> None:
    calls = (ToolCall("look"),)
    steps = (
        Step("look {}", "", tool_calls=calls),
        Step("a", "", "a"),
        Step("b", "end", "b"),
    )
    run = Trajectory("t", PROMPT, steps, 1.0, "done")
    written = record_of(run)
    assert {item["call_id"] for item in written["input"] if "call_id" in item} == {"call_1"}
    assert read(written) == run


def test_other_records_with_an_input_are_not_taken() -> None:
    for record in (
        {"input": "Say hi", "target": "hi"},
        {"input": "Say hi", "output": "hi"},
        {"instruction": "x", "input": "y", "output": "z"},
        {"messages": [{"role": "user", "content": "x"}], "input": [{"role": "user"}]},
        {"items": [{"name": "a"}]},
        {"items": [{"type": "book"}]},
    ):
        assert not recognises(record)


def test_items_are_those_of_the_published_schema() -> None:
    openai = pytest.importorskip("openai.types.responses")
    pydantic = pytest.importorskip("pydantic")
    items = pydantic.TypeAdapter(list[openai.ResponseInputItemParam])
    for record in (responses_request(), record_of(read(responses_request()))):
        items.validate_python(record["input"])
