"""Tool calls as the chat API writes them, and in what formats write after it.

    {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{…}"}}

`arguments` is the JSON text of an object there; some tools write the object itself. A text that a
model broke off, or wrote wrongly, is kept to the letter.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from w2stree.errors import InvalidInput
from w2stree.trajectories import fields
from w2stree.trajectories.tool_call import ToolCall
from w2stree.trajectories.trajectory import Trajectory


def chat_calls(message: Mapping[str, Any], where: str) -> tuple[ToolCall, ...]:
    """Those of an assistant's message, also the one of `function_call`, which came before."""
    if (old := message.get("function_call")) is not None:
        return (call_of(old, f"{where}: function_call"),)
    given = message.get("tool_calls")
    if given is None:
        return ()
    return tuple(
        call_of(call, f"{where}: tool_calls[{i}]")
        for i, call in enumerate(fields.array(given, f"{where}: tool_calls"))
    )


def call_of(given: Any, where: str) -> ToolCall:
    """One call, with its function in it or flat (`name`, `arguments`)."""
    call = fields.mapping(given, where)
    function = fields.mapping(call.get("function", call), f"{where}.function")
    arguments = function.get("arguments")
    if isinstance(arguments, Mapping):
        arguments = json.dumps(fields.plain(arguments, f"{where}.arguments"))
    try:
        return ToolCall(
            function.get("name"),  # type: ignore[arg-type]  # it looks itself
            "{}" if arguments is None or arguments == "" else arguments,
            call.get("id"),
        )
    except InvalidInput as error:
        raise InvalidInput(f"{where}: {error}") from None


def refuse_broken(trajectory: Trajectory, title: str) -> None:
    """Raises `InvalidInput` for a call whose arguments are no JSON: of formats that hold them as
    objects alone."""
    for call in (call for step in trajectory.steps for call in step.tool_calls):
        try:
            call.parsed_arguments()
        except InvalidInput as error:
            raise InvalidInput(
                f"task {fields.shown(trajectory.task_id)}: {error}; {title} has no place for what "
                "is none: write chat messages (messages)"
            ) from None


def call_records(calls: Sequence[ToolCall]) -> list[dict[str, Any]]:
    return [
        ({} if call.id is None else {"id": call.id})
        | {"type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in calls
    ]
