"""A message of Inspect's, read and written: what is said, and what it has beside that.

{"role": "assistant", "source": "generate", "content": […], "tool_calls": [{"id": "c1", …}]}
   │                     └ beside              └ said, but for parts of "reasoning"
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from w2stree.formats.content_blocks import text_of
from w2stree.formats.conversation import Said
from w2stree.formats.reader import Record
from w2stree.formats.tool_calls import call_of
from w2stree.trajectories import fields
from w2stree.trajectories.tool_call import ToolCall

_READ = ("role", "content", "tool_calls", "tool_call_id")


def said_of(message: Record, where: str) -> Said:
    """A tool's error stands for its answer, as the model read it."""
    role = fields.text(message.get("role"), f"{where}: role")
    calls = message.get("tool_calls")
    listed = () if calls is None else fields.array(calls, f"{where}: tool_calls")
    failed = message.get("error")
    if role == "tool" and isinstance(failed, Mapping):
        text = fields.text(failed.get("message"), f"{where}: error.message")
    else:
        text = _text(message.get("content"), f"{where}: content")
    answers = message.get("tool_call_id") if role == "tool" else None
    return Said(
        role,
        text,
        tuple(_call(call, f"{where}: tool_calls[{i}]") for i, call in enumerate(listed)),
        None if answers is None else fields.text(answers, f"{where}: tool_call_id"),
    )


def _text(content: Any, where: str) -> str:
    """Parts by lines, as Inspect joins them; what was only thought is not said."""
    if not isinstance(content, list | tuple):
        return text_of(content, where)
    parts = [
        text_of([part], f"{where}[{i}]")
        for i, part in enumerate(content)
        if not (isinstance(part, Mapping) and part.get("type") == "reasoning")
    ]
    return "\n".join(parts)


def _call(given: Any, where: str) -> ToolCall:
    call = fields.mapping(given, where)
    arguments = fields.mapping(call.get("arguments"), f"{where}.arguments")
    return call_of(
        {"name": call.get("function"), "arguments": arguments, "id": call.get("id")}, where
    )


def unread_of(message: Record) -> dict[str, Any]:
    """What `said_of` does not read, to be written again as it was."""
    rest = {k: plain(v) for k, v in message.items() if k not in _READ and v is not None}
    content = message.get("content")
    if not isinstance(content, str) and content is not None:
        rest["content"] = plain(content)
    if message.get("role") != "tool" and message.get("tool_call_id") is not None:
        rest["tool_call_id"] = plain(message["tool_call_id"])
    for i, call in enumerate(message.get("tool_calls") or ()):
        known = ("id", "function", "arguments")
        if more := {k: plain(v) for k, v in call.items() if k not in known and v is not None}:
            rest.setdefault("tool_calls", {})[str(i)] = more
    return rest


def written(said: Said, i: int, beside: Mapping[str, Any], num_prompt: int) -> dict[str, Any]:
    """Message `i` of a log, with what `unread_of` found beside it, by number of the message."""
    record: dict[str, Any] = {"role": said.role, "content": said.text}
    if said.role == "assistant":
        record["source"] = "generate" if i >= num_prompt else "input"
    if said.calls:
        record["tool_calls"] = [
            {
                "id": c.id,
                "function": c.name,
                "arguments": c.parsed_arguments(),
                "type": "function",
            }
            for c in said.calls
        ]
    if said.answers is not None:
        record["tool_call_id"] = said.answers
    rest = beside.get(str(i))
    if not isinstance(rest, Mapping):
        return record
    for number, more in (rest.get("tool_calls") or {}).items():
        if number.isdecimal() and int(number) < len(record.get("tool_calls", ())):
            record["tool_calls"][int(number)].update(more)
    return {**record, **{k: v for k, v in rest.items() if k != "tool_calls"}}


def plain(value: Any) -> Any:
    """Without the numbers that JSON does not have, which Inspect writes all the same: nulls."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {k: plain(v) for k, v in value.items()}
    return [plain(v) for v in value] if isinstance(value, list | tuple) else value
