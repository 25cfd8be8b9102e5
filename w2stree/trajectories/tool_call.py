"""Tool calls: what an agent does where it is given functions instead of words.

    calls            weather(city="Oslo", days=2)      two of them, in one turn
    ToolCall         name="weather", arguments='{"city":"Oslo","days":2}', id="call_1"
    Step.action      weather {"city":"Oslo","days":2}⏎clock {}

The arguments are JSON text, not an object: tables of rows fill the fields that another row's
object has with nulls, and a text stays what it is.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from w2stree.errors import InvalidInput
from w2stree.shorten import quoted
from w2stree.trajectories import fields
from w2stree.trajectories.json_text import parse_json

_SHOWN_COLUMNS = 60


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A function's name and its arguments; `id` is what its answer refers to, where one was given.

    `result` is the answer to this call, where a turn has several of them or a user's words beside
    one: the step's `observation` is all of them, and this says which answers what.

    `arguments` is the JSON text of an object. However it is given, it is kept with sorted keys and
    without spaces, so that equal calls are equal texts. Whole numbers and others stay apart (1 is
    not 1.0); the others are doubles, in the shortest form that reads back (1e3 is 1000.0).

    A text that is no JSON object, names a key twice, or has a number or a character that JSON does
    not know (NaN, half of a surrogate pair) is what a model wrote that failed at it: it is kept to
    the letter, and `parsed_arguments` says what is wrong.

    Raises `InvalidInput` for a name that is empty or has white space in it, and for arguments that
    are no text.
    """

    name: str
    arguments: str = "{}"
    id: str | None = None
    result: str | None = None

    def __post_init__(self) -> None:
        fields.texts(self, "name", *(n for n in ("id", "result") if getattr(self, n) is not None))
        if self.name.split() != [self.name]:
            raise InvalidInput(
                f"a tool's name is {fields.shown(self.name)}; give a text without white space"
            )
        if not isinstance(self.arguments, str):
            raise InvalidInput(
                f"{self.name}: arguments are {type(self.arguments).__name__}; give the JSON text "
                "of an object"
            )
        object.__setattr__(self, "arguments", _kept(self.arguments))

    def parsed_arguments(self) -> dict[str, Any]:
        """The object that the arguments are. Raises `InvalidInput` with what is wrong where the
        model wrote none."""
        where = f"{self.name}: arguments are {quoted(self.arguments, _SHOWN_COLUMNS)}"
        parsed: dict[str, Any] = json.loads(_canonical(self.arguments, where))
        return parsed

    def arguments_given(self) -> dict[str, Any] | str:
        """The same, or the text where they are none: for what takes either."""
        try:
            return self.parsed_arguments()
        except InvalidInput:
            return self.arguments


def action_of(tool_calls: Sequence[ToolCall]) -> str:
    """The merge key of a turn's calls: each one's name, a space and its arguments, a line each.

    It holds no ids, which differ from run to run. No two turns of different calls have one key: a
    name has no space in it and the arguments no line break (a broken text that has one, or begins
    with a quotation mark, is quoted). "" for no calls.
    """
    return "\n".join(f"{call.name} {_on_a_line(call.arguments)}" for call in tool_calls)


def _on_a_line(arguments: str) -> str:
    is_quoted = "\n" in arguments or arguments.startswith('"')
    return json.dumps(arguments) if is_quoted else arguments


def records_of(tool_calls: Sequence[ToolCall]) -> list[dict[str, str]]:
    """The calls for JSON; an id or a result that is not known is left out."""
    return [
        {"name": call.name, "arguments": call.arguments}
        | {name: value for name in ("id", "result") if (value := getattr(call, name)) is not None}
        for call in tool_calls
    ]


def parse_tool_calls(listed: Any) -> tuple[ToolCall, ...]:
    """Those of a step's record, none for None; raises `InvalidInput` naming the call."""
    if listed is None:
        return ()
    calls = []
    for i, record in enumerate(fields.array(listed, "tool_calls")):
        try:
            calls.append(_parse(fields.mapping(record, "the call")))
        except InvalidInput as error:
            raise InvalidInput(f"tool_calls[{i}]: {error}") from None
    return tuple(calls)


def _parse(record: fields.Record) -> ToolCall:
    fields.refuse_unknown(record, ToolCall)
    name, arguments = (fields.text(record.get(key), key) for key in ("name", "arguments"))
    return ToolCall(name, arguments, record.get("id"), record.get("result"))


def _kept(arguments: str) -> str:
    """In the one way of writing an object; to the letter where it is none."""
    try:
        return _canonical(arguments, "")
    except InvalidInput:
        return fields.text(arguments, "arguments")


def _canonical(arguments: str, where: str) -> str:
    value = parse_json(arguments, where)
    if not isinstance(value, dict):
        raise InvalidInput(f"{where}; give the JSON text of an object")
    try:
        canonical = json.dumps(
            fields.plain(value, "it"), ensure_ascii=False, sort_keys=True, separators=(",", ":")
        )
        canonical.encode("utf-8")
    except ValueError as error:  # infinite, endless digits, too deep, half a surrogate pair
        raise InvalidInput(f"{where}: {error}; give JSON") from None
    return canonical
