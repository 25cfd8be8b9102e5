"""ShareGPT's conversations, and what LLaMA-Factory adds for tools.

    {"id": "t1", "reward": 1.0, "system": "You are …", "tools": "[…]", "conversations": [
      {"from": "human", "value": "What is the weather in Oslo?"},
      {"from": "function_call", "value": "{\\"name\\": \\"weather\\", \\"arguments\\": {…}}"},
      {"from": "observation", "value": "Rain."},
      {"from": "gpt", "value": "It rains."}]}

Source: the data sets' own shape, and LLaMA-Factory's `data/README.md` for tools. No field of a
reward is standard. A `function_call` that is no JSON is what a model wrote that failed at it:
a call of the tool `function_call`, with that text as its arguments.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from w2stree.errors import InvalidInput
from w2stree.formats.conversation import Said, messages_of, read_conversation, run_of
from w2stree.formats.format import Format
from w2stree.formats.human_gpt import unread
from w2stree.formats.left_over import FIELD, of_info, restored, with_left_over
from w2stree.formats.messages import (
    REWARDS,
    TASKS,
    by_number,
    of_system,
    refuse_pictures,
    system_before,
)
from w2stree.formats.parallel_calls import as_turns
from w2stree.formats.reader import Reader, Record, beside
from w2stree.formats.tool_calls import call_of
from w2stree.trajectories import fields
from w2stree.trajectories.json_text import parse_json
from w2stree.trajectories.tool_call import ToolCall
from w2stree.trajectories.trajectory import Trajectory

_ROLES = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "assistant": "assistant",
    "system": "system",
    "observation": "tool",
    "tool": "tool",
    "function_call": "assistant",
}
_BROKEN = "function_call"
_NAMES = {"user": "human", "assistant": "gpt", "system": "system", "tool": "observation"}


def recognises(record: Any) -> bool:
    given = record.get("conversations") if isinstance(record, Mapping) else None
    return (
        isinstance(given, Sequence)
        and not isinstance(given, str)
        and len(given) > 0
        and all(isinstance(m, Mapping) and "from" in m and "value" in m for m in given)
    )


def runs(record: Record, where: str, reader: Reader) -> Iterator[Trajectory]:
    given = fields.array(record.get("conversations"), f"{where}: conversations")
    refuse_pictures(record, where)
    parts = as_turns(
        [
            (_said(message, i, f"{where}: conversations[{i}]"), unread(message))
            for i, message in enumerate(given)
        ]
    )
    parts = [*system_before(parts, record, where), *parts]
    conversation = read_conversation([said for said, _ in parts], where, reader)
    status, origin = reader.ending(record, where)
    task_id = reader.task_id(record, where, (*TASKS, "id"), conversation.prompt)
    reward = reader.reward(record, where, REWARDS, status=status)
    info = beside(
        record,
        ("conversations", *of_system(record), FIELD),
        {"task_id": task_id, "reward": reward},
    )
    read = run_of(
        conversation,
        where,
        task_id=task_id,
        total_return=reward,
        status=status,
        origin=origin,
        info=info | by_number(parts),
    )
    yield restored(read, record.get(FIELD), where, reader)


def record_of(trajectory: Trajectory) -> Record:
    said = messages_of(trajectory)
    system = said.pop(0).text if said and said[0].role == "system" and said[0].text else None
    record = of_info(trajectory) | {
        "task_id": trajectory.task_id,
        "reward": trajectory.total_return,
        **({} if system is None else {"system": system}),
        "conversations": [_record(m, trajectory.task_id) for m in said],
    }
    return with_left_over(record, trajectory, runs)


def _said(message: Any, number: int, where: str) -> Said:
    given = fields.mapping(message, where)
    name = fields.text(given.get("from"), f"{where}: from")
    value = fields.text(given.get("value"), f"{where}: value")
    if name not in _ROLES:
        raise InvalidInput(f"{where} is from {fields.shown(name)}; use {', '.join(_ROLES)}")
    if name == "function_call":
        return Said("assistant", "", _calls(value, where), number=number)
    return Said(_ROLES[name], value, number=number)


def _calls(value: str, where: str) -> tuple[ToolCall, ...]:
    """One object, or an array of several; of what is no JSON the text, whatever it calls."""
    try:
        given = parse_json(value, where)
    except InvalidInput:
        return (ToolCall(_BROKEN, value),)
    listed = given if isinstance(given, list) else [given]
    return tuple(call_of(call, f"{where}: value") for call in listed)


def _record(said: Said, task_id: str) -> dict[str, str]:
    if not said.calls:
        return {"from": _NAMES[said.role], "value": said.text}
    if said.text:
        raise InvalidInput(
            f"task {fields.shown(task_id)}: a turn has both words and tool calls, which ShareGPT "
            "has no place for; write chat messages (messages)"
        )
    return {"from": "function_call", "value": _value(said.calls)}


def _value(calls: Sequence[ToolCall]) -> str:
    if [call.name for call in calls] == [_BROKEN] and not _is_json(calls[0].arguments):
        return calls[0].arguments
    records = [{"name": c.name, "arguments": c.arguments_given()} for c in calls]
    return json.dumps(records[0] if len(records) == 1 else records, ensure_ascii=False)


def _is_json(text: str) -> bool:
    try:
        parse_json(text, "")
    except InvalidInput:
        return False
    return True


FORMAT = Format(
    name="sharegpt",
    title="ShareGPT conversations",
    recognises=recognises,
    runs=runs,
    record_of=record_of,
)
