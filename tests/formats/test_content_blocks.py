"""Anthropic's content blocks: the run that the same words and calls are in OpenAI's shape."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from support.anthropic_runs import of_assistant, of_user, result, text, twins, use

from w2stree import InvalidInput, ToolCall, Trajectory
from w2stree.formats import messages
from w2stree.formats.reader import Reader
from w2stree.formats.reading import read_files, read_trajectories
from w2stree.formats.writing import write_trajectories

USER = {"role": "user", "content": "Book."}
LOOK = of_assistant(text("I look."), use("u1", "search", {"q": "OSL"}), use("u2", "clock", {}))
THOUGHT = {"type": "thinking", "thinking": "Where?"}
SIGNED = THOUGHT | {"signature": "EqQB"}
HIDDEN = {"type": "redacted_thinking", "data": "EmwK"}
PICTURE = {"type": "image", "source": {"type": "url", "url": "https://x/a.png"}}


def record(*said: Any) -> dict[str, Any]:
    return {"task_id": "t", "reward": 1.0, "messages": [USER, *said]}


def read(given: Any) -> Trajectory:
    (run,) = messages.runs(given, "a.jsonl:1", Reader())
    return run


@given(twins())
def test_it_is_the_run_of_its_twin(pair: tuple[Any, Any]) -> None:
    mine, theirs = (read({"task_id": "t", "reward": 1.0, "messages": said}) for said in pair)
    assert mine == theirs


@given(twins())
def test_it_is_written_as_its_twin_and_read_back(pair: tuple[Any, Any]) -> None:
    run = read({"task_id": "t", "reward": 1.0, "messages": pair[0]})
    written = json.loads(json.dumps(messages.record_of(run)))
    assert all(not isinstance(message["content"], list) for message in written["messages"])
    assert read(written) == run


@pytest.mark.parametrize("order", [("u1", "u2"), ("u2", "u1")])
def test_several_calls_and_their_answers_in_any_order(order: tuple[str, str]) -> None:
    said = {"u1": result("u1", [text("AF "), text("80")]), "u2": result("u2", "9:00")}
    run = read(record(LOOK, of_user(text("Quick!"), *(said[i] for i in order))))
    (step,) = run.steps
    assert step.action == 'search {"q":"OSL"}\nclock {}'
    assert (step.response, step.observation) == ("I look.", "AF 80\n9:00\nQuick!")
    assert step.tool_calls == (
        ToolCall("search", '{"q":"OSL"}', "u1", "AF 80"),
        ToolCall("clock", "{}", "u2", "9:00"),
    )


@pytest.mark.parametrize(
    ("blocks", "beside"),
    [
        ([THOUGHT], {"reasoning_content": "Where?"}),
        ([SIGNED], {"reasoning_content": "Where?", "thinking_blocks": [SIGNED]}),
        ([HIDDEN], {"thinking_blocks": [HIDDEN]}),
        (
            [THOUGHT, HIDDEN, SIGNED],
            {
                "reasoning_content": "Where?Where?",
                "thinking_blocks": [THOUGHT, HIDDEN, SIGNED],
            },
        ),
    ],
)
def test_thinking_is_beside_what_is_said(blocks: Any, beside: Any) -> None:
    run = read(record(of_assistant(*blocks, text("Hi."))))
    assert (run.steps[0].response, run.info) == ("Hi.", {"messages": {"1": beside}})
    assert messages.record_of(run)["messages"][1] == {
        "role": "assistant",
        "content": "Hi.",
        **beside,
    }


def test_what_blocks_and_messages_have_beside_is_kept() -> None:
    cached = {"cache_control": {"type": "ephemeral"}}
    turn = {**of_assistant(use("u1", "go", {}) | {"caller": {"type": "direct"}}), "id": "msg_1"}
    told = of_user(result("u1", [text("No.") | cached], is_error=True) | cached)
    run = read(record(turn, told, of_assistant(text("Hm.") | {"citations": None})))
    of_result = cached | {"content": {"0": cached}}
    assert run.info == {
        "messages": {
            "1": {"id": "msg_1", "content_blocks": {"0": {"caller": {"type": "direct"}}}},
            "2": {"is_error": True, "content_blocks": {"0": of_result}},
        }
    }
    assert read(json.loads(json.dumps(messages.record_of(run)))) == run


def test_records_of_both_shapes() -> None:
    """Calls by one and answers by the other; calls that are said twice alike are made once."""
    calls = [
        {"id": "u1", "type": "function", "function": {"name": "go", "arguments": '{"n": 1}'}},
    ]
    own = {"role": "assistant", "content": None, "tool_calls": calls}
    twice = of_assistant(use("u1", "go", {"n": 1})) | {"tool_calls": calls}
    answers = [
        {"role": "tool", "tool_call_id": "u1", "content": "Gone."},
        of_user(result("u1", "Gone.")),
    ]
    turns = [own, of_assistant(use("u1", "go", {"n": 1})), twice]
    (run, *others) = (read(record(turn, answer)) for turn in turns for answer in answers)
    assert run.steps[0].tool_calls == (ToolCall("go", '{"n":1}', "u1"),)
    assert others == [run] * 5


ANSWERED = of_user(result("u1", "x"), result("u2", "y"))
CALLED = {"tool_calls": [{"id": "u1", "function": {"name": "go", "arguments": "{}"}}]}
REFUSED: list[tuple[list[Any], str]] = [
    ([of_assistant(PICTURE)], r"messages\[1\]: content\[0\] is of the type 'image' and has no t"),
    ([LOOK, of_user(result("u1", [text("x"), PICTURE]))],
     r"messages\[2\]: content\[0\]\.content\[1\] is of the type 'image' and has no text"),
    ([of_assistant(text("x"), {"type": "document", "source": {}})],
     r"content\[1\] is of the type 'document' and has no text; only texts"),
    ([of_assistant({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}})],
     r"messages\[1\]: content\[0\] is of the type 'server_tool_use', of a tool that the server"),
    ([of_assistant(text("x"), {"type": "web_search_tool_result", "content": []})],
     r"messages\[1\]: content\[1\] is of the type 'web_search_tool_result', of a tool .*--on-err"),
    ([of_assistant({"type": "mcp_tool_use", "id": "s", "name": "x", "input": {}})], r"the server"),
    ([of_assistant(text("x") | {"citations": [{"type": "char_location"}]})],
     r"messages\[1\]: content\[0\] has citations, .*: delete its citations, or leave such runs"),
    ([of_user(use("u1", "go", {}))], r"\[1\]: content\[0\]: a tool_use in a message of the user;"),
    ([of_assistant(result("u1", "x"))],
     r"content\[0\]: a tool_result in a message of the assistant; it stands in one of the user"),
    ([LOOK, of_user(result("u9", "x"))], r"message 2: a tool answers a call 'u9' that it did not"),
    ([LOOK, ANSWERED, of_assistant(use("u3", "go", {})), of_user(result("u4", "x"))],
     r"message 4: a tool answers a call 'u4'"),  # by its number in the record
    ([LOOK, ANSWERED, of_user(result("u1", "x"))], r"'u1' that it did not make, or that was"),
    ([LOOK, of_user(result("u1", "x", is_error="no"))], r"content\[0\]\.is_error is 'no'; exp"),
    ([LOOK, of_user(result("u1", 5))], r"content\[0\]\.content is int; expected an array"),
    ([LOOK, of_user(result("u1", "x") | {"tool_use_id": 5})], r"\.tool_use_id is int; expected"),
    ([of_assistant(use("u1", "a b", {}))], r"content\[0\]: a tool's name is 'a b'"),
    ([of_assistant(use("u1", "go", [1]))], r"content\[0\]: go: arguments are list"),
    ([of_assistant({"type": "thinking", "thinking": 5})], r"\[1\]: thinking is int; expected"),
    ([of_assistant(5)], r"messages\[1\]: content\[0\] is int; expected an object"),
    ([LOOK | CALLED], r"messages\[1\]: content and tool_calls do not .*: leave one of the two out"),
    ([of_assistant(SIGNED, HIDDEN) | {"thinking_blocks": []}], r"content and thinking_blocks do"),
]  # fmt: skip


@pytest.mark.parametrize(("said", "reason"), REFUSED)
def test_what_a_step_cannot_hold_is_refused_by_its_place(
    said: list[Any], reason: str, tmp_path: Path
) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(json.dumps(record(*said)) + "\n", encoding="utf-8")
    with pytest.raises(InvalidInput, match=rf"a\.jsonl:1: .*{reason}"):
        read_trajectories(file)
    assert len(read_files(file, on_error="skip").skipped) == 1


def test_a_file_of_them_goes_through_convert_and_comes_back(tmp_path: Path) -> None:
    file, other = tmp_path / "a.jsonl", tmp_path / "b.parquet"
    file.write_text(json.dumps(record(LOOK, ANSWERED)) + "\n", encoding="utf-8")
    given = read_files(file)
    assert given.formats == {file: "messages"}
    pytest.importorskip("pyarrow")
    write_trajectories(other, given.reading.trajectories, format="messages")
    assert read_trajectories(other) == given.reading.trajectories
