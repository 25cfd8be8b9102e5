"""Rows of chat messages as trajectories: which turns are compared, and what is refused where."""

from __future__ import annotations

from typing import Any

import pytest

from w2stree.errors import InvalidInput
from w2stree.rows.conversations import conversation, preference_row


def message(role: str, content: Any) -> dict[str, Any]:
    return {"role": role, "content": content}


TASK, SAID, ANSWER = (
    message("user", "Cook."),
    message("assistant", "Take."),
    message("user", "Taken."),
)
FRY, BURN = message("assistant", "Fry."), message("assistant", "Burn.")


def test_a_prompt_may_be_given_or_be_what_both_begin_with() -> None:
    given = {"prompt": [TASK, SAID, ANSWER], "chosen": [FRY], "rejected": [BURN, ANSWER, FRY]}
    whole = [TASK, SAID, ANSWER]
    implied = {"chosen": [*whole, FRY], "rejected": [*whole, BURN, ANSWER, FRY]}
    row = preference_row(given, "here")
    assert row == preference_row(implied, "here")
    assert [s.response for s in row.history] == ["Take."] and row.is_one_history
    assert [s.response for s in row.turns(row.chosen)] == ["Fry."]
    assert [s.response for s in row.turns(row.rejected)] == ["Burn.", "Fry."]


def test_a_conversation_keeps_its_system_message_and_its_last_answer() -> None:
    messages = [message("system", "Be brief."), TASK, SAID, ANSWER]
    run = conversation({"messages": messages, "task_id": "t", "total_return": 0.5}, "here")
    assert [m.role for m in run.prompt] == ["system", "user"]
    assert (run.task_id, run.total_return, run.steps[0].observation) == ("t", 0.5, "Taken.")


@pytest.mark.parametrize(
    ("messages", "told"),
    [
        ("Cook.", "messages is 'Cook.'; give a list of chat messages"),
        ([TASK], "no turn of the assistant to learn from"),
        ([SAID], "begin with the assistant; a task"),
        ([TASK, SAID, SAID], "message 3 is of the assistant; after the task"),
        ([TASK, message("assistant", "")], "message 2, a turn of the assistant, is empty"),
        ([TASK, message("tool", "3")], r"messages\[1\]: role is 'tool'"),
        ([TASK, message("assistant", None)], r"messages\[1\]: content is NoneType; give text"),
        ([TASK, {**SAID, "tool_calls": [{}]}], r"messages\[1\] has tool calls"),
        ([TASK, "Yes."], r"messages\[1\] is no message"),
        ([TASK, {**SAID, "reasoning_content": "So."}], r"messages\[1\] has reasoning_content, wh"),
    ],
)
def test_what_is_no_conversation_is_refused(messages: Any, told: str) -> None:
    with pytest.raises(InvalidInput, match=f"rows.jsonl:3: {told}|rows.jsonl:3: messages: {told}"):
        conversation({"messages": messages}, "rows.jsonl:3")


@pytest.mark.parametrize("name", ["images", "videos", "audios"])
def test_pictures_beside_the_messages_are_refused(name: str) -> None:
    row = {"prompt": [TASK], "chosen": [FRY], "rejected": [BURN], name: []}
    assert preference_row(row, "here").history == ()
    assert conversation({"messages": [TASK, SAID], name: None}, "here").steps
    with pytest.raises(InvalidInput, match=f"here: {name}: pictures and sound are no part"):
        preference_row({**row, name: ["a.png"]}, "here")
    with pytest.raises(InvalidInput, match=f"here: {name}: pictures and sound are no part"):
        conversation({"messages": [TASK, SAID], name: ["a.png"]}, "here")


def test_tools_beside_the_messages_are_refused_and_empty_ones_are_not() -> None:
    """Columns of a table are there in every row, and null where a row has none."""
    given = {"messages": [{**TASK, "name": None}, {**SAID, "tool_calls": None}], "tools": []}
    assert conversation(given, "here").steps[0].response == "Take."
    with pytest.raises(InvalidInput, match="here has tools, which each chat template writes"):
        conversation({**given, "tools": [{"type": "function"}]}, "here")
    pair = {"prompt": [TASK], "chosen": [FRY], "rejected": [BURN]}
    with pytest.raises(InvalidInput, match="here has chat_template_kwargs"):
        preference_row({**pair, "chat_template_kwargs": {"enable_thinking": False}}, "here")


def test_a_system_beside_the_messages_is_refused() -> None:
    """As Anthropic's requests have it: trained without it, the rows would be other ones."""
    given = {"messages": [TASK, SAID], "system": None}
    assert conversation(given, "here").steps
    with pytest.raises(InvalidInput, match=r"here has system beside its messages, .*: make it"):
        conversation({**given, "system": "You cook."}, "here")
