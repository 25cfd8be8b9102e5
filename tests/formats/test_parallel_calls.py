"""Calls of one turn in several messages: one turn where that is certain, else refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.anthropic_runs import apart_from_order

from w2stree import InvalidInput, ToolCall, Trajectory
from w2stree.formats import messages, sharegpt
from w2stree.formats.reader import Reader

USER = {"role": "user", "content": "Book."}
DONE = {"role": "assistant", "content": "Done."}


def turn(*ids: str | None, content: str | None = None, **beside: Any) -> dict[str, Any]:
    calls = [
        ({} if i is None else {"id": i}) | {"function": {"name": "go", "arguments": "{}"}}
        for i in ids
    ]
    return {"role": "assistant", "content": content, "tool_calls": calls} | beside


def answer(to: str | None, **beside: Any) -> dict[str, Any]:
    return {"role": "tool", "content": f"of {to}", **beside} | (
        {} if to is None else {"tool_call_id": to}
    )


def read(*said: Any) -> Trajectory:
    given = {"task_id": "t", "reward": 1.0, "messages": [USER, *said]}
    (run,) = messages.runs(given, "a.jsonl:1", Reader())
    return run


@given(
    sizes=st.lists(st.integers(1, 3), min_size=1, max_size=4),
    order=st.randoms(use_true_random=False),
)
def test_it_is_the_run_of_one_message(sizes: list[int], order: Any) -> None:
    ids = [f"c{i}" for i in range(sum(sizes))]
    left = iter(ids)
    turns = [turn(*(next(left) for _ in range(size))) for size in sizes]
    answers = [answer(i) for i in ids]
    order.shuffle(answers)
    whole = read(turn(*ids), *(answer(i) for i in ids), DONE)
    assert apart_from_order(read(*turns, *answers, DONE)) == whole
    assert read(DONE, *turns, *answers, DONE).steps[1:] == whole.steps


def test_answers_without_ids_are_in_the_order_of_the_calls() -> None:
    (step, _) = read(turn(None), turn(None), answer(None), answer(None), DONE).steps
    assert [call.result for call in step.tool_calls] == ["of None"] * 2
    call = {"from": "function_call", "value": '{"name": "go", "arguments": {}}'}
    said = [
        call,
        call,
        {"from": "observation", "value": "1"},
        {"from": "observation", "value": "2"},
    ]
    given = {"reward": 1, "conversations": [{"from": "human", "value": "Book."}, *said]}
    ((step,),) = (run.steps for run in sharegpt.runs(given, "a.jsonl:1", Reader()))
    assert step.tool_calls == (ToolCall("go", result="1"), ToolCall("go", result="2"))


def test_words_and_what_is_beside_are_those_of_all() -> None:
    first = turn("c1", content="I go.", id="m1", model="x")
    second = turn("c2", content="And again.", model="x", reasoning_content="Hm.")
    run = read(first, second, answer("c2", name="go"), answer("c1"), DONE)
    assert run.steps[0].response == "I go.\nAnd again."
    told = {"id": "m1", "model": "x", "reasoning_content": "Hm."}
    assert run.info["messages"] == {"1": told, "2": {"name": "go"}}
    (again,) = messages.runs(messages.record_of(run), "a.jsonl:1", Reader())
    assert again == run
    assert messages.record_of(run)["messages"][2]["name"] == "go"
    run = read(first, second | {"id": "m2"}, answer("c1"), answer("c2"), DONE)
    assert run.info["messages"]["1"]["messages"] == [
        {"id": "m1", "model": "x"},
        {"id": "m2", "model": "x", "reasoning_content": "Hm."},
    ]


def test_turns_of_which_only_the_last_is_answered_stay_turns() -> None:
    run = read(turn("c1"), turn("c2"), answer("c2"), DONE)
    assert [step.observation for step in run.steps] == ["", "of c2", ""]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ([turn("c1"), turn("c2"), answer("c1")],
         r"message 4 answers the call 'c1' of message 2, after another turn of the assistant "
         r"\(message 3\): put the answer before that turn; where .* give each of them its answer"),
        ([turn("c1"), DONE, answer("c1")], r"message 4 answers the call 'c1' of message 2, after"),
        ([turn("c1", "c2"), answer("c1"), DONE, answer("c2")], r"message 5 answers the call 'c2'"),
        ([turn("c1"), turn("c2"), answer("c1"), answer("c1")], r"message 4 answers the call 'c1'"),
        ([turn("c1"), turn("c1"), answer("c1"), answer("c1")], r"'c1' that it did not make, or th"),
        ([turn("c1"), turn("c2"), answer("c1"), answer("c9")], r"message 4 answers the call 'c1'"),
        ([turn(None), turn(None), answer(None), answer(None), answer(None)], r"a tool answers"),
    ],
)  # fmt: skip
def test_others_are_refused_with_the_reason(said: list[Any], reason: str) -> None:
    with pytest.raises(InvalidInput, match=rf"^a\.jsonl:1: .*{reason}"):
        read(*said)


def test_what_the_refusal_says_helps() -> None:
    assert len(read(turn("c1"), answer("c1"), DONE, DONE).steps) == 3
    assert len(read(turn("c1"), turn("c2"), answer("c1"), answer("c2")).steps) == 1
