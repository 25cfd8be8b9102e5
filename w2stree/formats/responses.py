"""Items of OpenAI's Responses API: a run is the items of its input and of its last output.

    {"task_id": "t1", "reward": 1.0, "instructions": "You are …", "input": [
      {"role": "user", "content": "What is the weather in Oslo?"},
      {"type": "reasoning", "id": "rs_1", "summary": []},                              ┐ one
      {"type": "function_call", "call_id": "c1", "name": "weather",                    │ turn
       "arguments": "{\\"city\\": \\"Oslo\\"}"},                                          ┘
      {"type": "function_call_output", "call_id": "c1", "output": "Rain."}],
     "output": [
      {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
       "content": [{"type": "output_text", "text": "It rains.", "annotations": []}]}]}

A turn is what the model says between two answers: items of one turn stand one after the other, and
nothing but an answer ends it. `input` may be a text, `items` may stand for both.

Source: `ResponseInputItem` and `ResponseOutputItem` of `openai` 3.57.0 (types/responses, made from
the published OpenAPI description). `reward` and `task_id` are nobody's standard.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from w2stree.errors import InvalidInput
from w2stree.formats.call_ids import with_call_ids, with_empty_answers
from w2stree.formats.content_blocks import text_of
from w2stree.formats.conversation import Said, messages_of, read_conversation
from w2stree.formats.format import Format
from w2stree.formats.left_over import FIELD, of_info, restored, with_left_over
from w2stree.formats.messages import REWARDS, TASKS
from w2stree.formats.placed import placed
from w2stree.formats.reader import Reader, Record
from w2stree.formats.tool_calls import call_of
from w2stree.trajectories import fields
from w2stree.trajectories.tool_call import ToolCall
from w2stree.trajectories.trajectory import Trajectory

LISTS = ("input", "output", "items")
UNREAD = "items"
"""In `info`: by an item's number, from 0, over input and output: what it has beside what is read,
all of it where it is reasoning."""

_ROLES = {"user": "user", "system": "system", "developer": "system", "assistant": "assistant"}
_CALLS = {"function_call": "arguments", "custom_tool_call": "input"}
_ANSWERS = ("function_call_output", "custom_tool_call_output")
_TYPES = ("message", "reasoning", *_CALLS, *_ANSWERS)
_READ = {
    "message": ("type", "role", "content"),
    "reasoning": (),
    "function_call": ("type", "call_id", "name", "arguments"),
    "custom_tool_call": ("type", "call_id", "name", "input"),
    "function_call_output": ("type", "call_id", "output"),
    "custom_tool_call_output": ("type", "call_id", "output"),
}
CUSTOM = "input"
"""The one argument that a custom tool's call, which is a text, is kept as."""


def recognises(record: Any) -> bool:
    """By an item of a type that no chat message has, or by `input` beside `output` or
    `instructions`; so that no other record with an `input` is taken for one."""
    if not isinstance(record, Mapping) or "messages" in record:
        return False
    listed = [record[name] for name in LISTS if _is_list(record.get(name))]
    items = [item for items in listed for item in items]
    if not items or not all(isinstance(i, Mapping) and ("type" in i or "role" in i) for i in items):
        return False
    types = [str(item.get("type", "message")) for item in items]
    if any(t == "reasoning" or t.endswith(("_call", "_call_output")) for t in types):
        return True
    return _is_list(record.get("input")) or (_is_list(record.get("output")) and "message" in types)


def runs(record: Record, where: str, reader: Reader) -> Iterator[Trajectory]:
    with placed(where):
        read = _run(record, where, reader)
        yield restored(read, record.get(FIELD), where, reader)


def record_of(trajectory: Trajectory) -> Record:
    """A request's `input` that is all of the run."""
    beside = trajectory.info.get(UNREAD)
    said = with_empty_answers(with_call_ids(messages_of(trajectory)))
    told = trajectory.info.get("instructions")
    if said and (said[0].role, said[0].text) == ("system", told):
        del said[0]
    else:
        told = None
    record = of_info(trajectory, *_KEPT_BY_SERVER) | {
        "task_id": trajectory.task_id,
        "reward": trajectory.total_return,
        **({} if told is None else {"instructions": told}),
        "input": _with_unread(said, beside if isinstance(beside, Mapping) else {}),
    }
    return with_left_over(record, trajectory, runs)


_KEPT_BY_SERVER = ("previous_response_id", "conversation")


def _run(record: Record, where: str, reader: Reader) -> Trajectory:
    _refuse_parts(record, where)
    items = _items(record, where)
    turns = _turns(items)
    said = [one for one, _ in turns]
    if (instructions := record.get("instructions")) is not None:
        said.insert(0, Said("system", fields.text(instructions, f"{where}: instructions")))
    conversation = read_conversation(said, where, reader)
    cut = [is_cut for one, is_cut in turns if one.role == "assistant"]
    cut = cut[len(cut) - len(conversation.steps) :]
    status, origin = reader.ending(record, where)
    beside = {str(i): rest for i, (item, _) in enumerate(items) if (rest := _unread(item))}
    info = {k: v for k, v in record.items() if k not in (*LISTS, FIELD)}
    return Trajectory(
        reader.task_id(record, where, (*TASKS, "metadata.task_id"), conversation.prompt),
        conversation.prompt,
        tuple(
            replace(step, is_cut=is_cut)
            for step, is_cut in zip(conversation.steps, cut, strict=True)
        ),
        reader.reward(record, where, (*REWARDS, "metadata.reward"), status=status),
        status,
        origin,
        conversation.with_heard(info | ({UNREAD: beside} if beside else {}), where),
    )


def _refuse_parts(record: Record, where: str) -> None:
    """What the server keeps is not here."""
    for name in _KEPT_BY_SERVER:
        if record.get(name) is not None:
            raise InvalidInput(
                f"{where}: {name} says that what came before is kept by the server, so the run is "
                "not all here; ask the server for its input items, and put them into input"
            )


def _items(record: Record, where: str) -> list[tuple[Record, Said | None]]:
    """Each item, and what is said in it; None for reasoning."""
    items: list[tuple[Record, Said | None]] = []
    for name in LISTS:
        given = record.get(name)
        if given is None:
            continue
        if isinstance(given, str) and name == "input":
            given = [{"role": "user", "content": given}]
        for i, item in enumerate(fields.array(given, f"{where}: {name}")):
            place = f"{where}: {name}[{i}]"
            items.append((fields.mapping(item, place), _said(item, place)))
    return items


def _said(item: Record, where: str) -> Said | None:
    kind = item.get("type", "message")
    if kind == "message":
        role = item.get("role")
        if not isinstance(role, str) or role not in _ROLES:
            raise InvalidInput(f"{where}: role is {fields.shown(role)}; use {', '.join(_ROLES)}")
        return Said(_ROLES[role], text_of(item.get("content"), f"{where}: content"))
    if kind in _ANSWERS:
        call_id = fields.text(item.get("call_id"), f"{where}: call_id")
        return Said("tool", text_of(item.get("output"), f"{where}: output"), answers=call_id)
    if isinstance(kind, str) and kind in _CALLS:
        return Said("assistant", "", (_call(item, kind, where),))
    if kind == "reasoning":
        return None
    raise InvalidInput(
        f"{where}: items of the type {fields.shown(kind)} cannot be read: only {', '.join(_TYPES)} "
        "(what a tool of the server did stands in its own item, and answers no call)"
    )


def _call(item: Record, kind: str, where: str) -> ToolCall:
    given = item.get(_CALLS[kind])
    if kind == "custom_tool_call":
        given = {CUSTOM: fields.text(given, f"{where}: input")}
    elif not isinstance(given, str):
        raise InvalidInput(f"{where}: arguments are {fields.shown(given)}; expected a JSON text")
    return call_of({"name": item.get("name"), "arguments": given, "id": item.get("call_id")}, where)


def _turns(items: Sequence[tuple[Record, Said | None]]) -> list[tuple[Said, bool]]:
    """One message for all that the model said without an answer between; whether it was cut."""
    turns: list[tuple[Said, bool]] = []
    for item, one in items:
        if one is None:
            continue
        is_cut = one.role == "assistant" and item.get("status") == "incomplete"
        if turns and one.role == turns[-1][0].role == "assistant":
            before, was_cut = turns.pop()
            texts = [text for text in (before.text, one.text) if text]
            one = Said("assistant", "\n".join(texts), before.calls + one.calls)
            is_cut = is_cut or was_cut
        turns.append((one, is_cut))
    return turns


def _unread(item: Record) -> dict[str, Any]:
    known = _READ[item.get("type", "message")]
    rest = {k: v for k, v in item.items() if k not in known and v is not None}
    if item.get("role") == "developer":
        rest["role"] = "developer"
    return rest


def _with_unread(said: Sequence[Said], beside: Mapping[str, Any]) -> list[Record]:
    """The items, with the reasoning and the fields that stood at the same numbers."""
    made: list[Record] = []
    for message in said:
        for item in _records(message):
            while isinstance(rest := beside.get(str(len(made))), Mapping) and (
                rest.get("type") == "reasoning"
            ):
                made.append(dict(rest))
            made.append({**item, **rest} if isinstance(rest, Mapping) else item)
    return made


def _records(said: Said) -> Iterator[dict[str, Any]]:
    if said.role == "tool":
        yield {"type": "function_call_output", "call_id": said.answers, "output": said.text}
        return
    if said.text or not said.calls:
        yield {"type": "message", "role": said.role, "content": said.text}
    for call in said.calls:
        yield {
            "type": "function_call",
            "call_id": call.id,
            "name": call.name,
            "arguments": _written(call),
        }


def _written(call: ToolCall) -> str:
    given = call.arguments_given()
    return given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


FORMAT = Format(
    name="responses",
    title="items of the Responses API (OpenAI)",
    recognises=recognises,
    runs=runs,
    record_of=record_of,
)
