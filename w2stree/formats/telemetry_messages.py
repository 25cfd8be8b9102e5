"""Messages of the GenAI conventions: a role, and parts of which each says what it is.

    {"role": "assistant", "finish_reason": "stop", "parts": [
       {"type": "reasoning", "content": "…"}, {"type": "text", "content": "I look."},
       {"type": "tool_call", "id": "c1", "name": "weather", "arguments": {"city": "Oslo"}}]}
    {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "Rain."}]}

Source: the JSON schemas that `w2stree.formats.opentelemetry` names.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from w2stree.errors import InvalidInput
from w2stree.formats.conversation import Said
from w2stree.formats.reader import Record
from w2stree.formats.tool_calls import call_of
from w2stree.trajectories import fields
from w2stree.trajectories.tool_call import ToolCall

_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}


def said_of(message: Any, where: str) -> tuple[list[Said], list[str]]:
    """A message's words and calls; each answer to a call in it is said by its tool."""
    given = fields.mapping(message, where)
    role = given.get("role")
    if not isinstance(role, str) or role not in (*_ROLES, "tool"):
        raise InvalidInput(
            f"{where}: role is {fields.shown(role)}; use {', '.join((*_ROLES, 'tool'))}"
        )
    texts, calls, answers, thoughts = [], [], [], []
    for i, given_part in enumerate(fields.array(given.get("parts"), f"{where}.parts")):
        place = f"{where}.parts[{i}]"
        part = fields.mapping(given_part, place)
        kind = part.get("type")
        if kind == "tool_call":
            calls.append(_call(part, place))
        elif kind == "tool_call_response":
            answers.append(answer_of(part, place))
        elif kind == "reasoning":
            thoughts.append(fields.text(part.get("content"), f"{place}.content"))
        else:
            texts += texts_of([part], place)
    if calls and role != "assistant":
        raise InvalidInput(f"{where}: a message of the role {role} calls a tool")
    said = list(answers)
    if texts or calls or not answers:
        speaker = "user" if role == "tool" else _ROLES[role]
        said.append(Said(speaker, "\n".join(texts), tuple(calls)))
    return said, thoughts


def texts_of(parts: Sequence[Any], where: str) -> list[str]:
    made = []
    for given in parts:
        part = fields.mapping(given, where)
        if part.get("type") != "text":
            raise InvalidInput(
                f"{where} is of the type {fields.shown(part.get('type'))}; only texts, tool calls, "
                "their responses and reasoning can be read: leave such runs out (on_error=skip, "
                "--on-error skip)"
            )
        made.append(fields.text(part.get("content"), f"{where}.content"))
    return made


def _call(part: Record, where: str) -> ToolCall:
    call = {name: part.get(name) for name in ("name", "arguments", "id")}
    return call_of(call, where)


def answer_of(part: Record, where: str) -> Said:
    """`response`; `result` before version 1.38."""
    value = part.get("response", part.get("result"))
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    call_id = part.get("id")
    return Said(
        "tool",
        fields.text(text, f"{where}.response"),
        answers=None if call_id is None else fields.text(call_id, f"{where}.id"),
    )


def message_of(said: Said) -> dict[str, Any]:
    if said.role == "tool":
        answer: dict[str, Any] = {"type": "tool_call_response", "response": said.text}
        if said.answers is not None:
            answer["id"] = said.answers
        return {"role": "tool", "parts": [answer]}
    parts: list[dict[str, Any]] = [{"type": "text", "content": said.text}] if said.text else []
    for call in said.calls:
        arguments = call.arguments_given()
        parts.append(
            {"type": "tool_call", "id": call.id, "name": call.name, "arguments": arguments}
        )
    return {"role": said.role, "parts": parts}
