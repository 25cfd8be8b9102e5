"""What a record is that is of no known format, and what makes runs of it.

{"data": {"messages": […]}}      its messages stand at data.messages
{"role": "user", "content": "…"} a message by itself
{"runs": [{…}, {…}]}             runs of a known format, one field too deep
{"type": "user", "sessionId": …} a line of Claude Code's own log
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from w2stree.formats import FORMATS
from w2stree.formats.reader import shown_fields
from w2stree.shorten import visible
from w2stree.trajectories.fields import shown

PAGE = "docs/formats.md"
_SHOWN = 3  # places of messages
_RUN = '{"messages": […], "reward": …}'
_FILES = "FILE > NEW.jsonl"
_OF_CLAUDE_CODE = ("file-history-snapshot", "queue-operation")  # the others have a parentUuid
_OF_CODEX = ("session_meta", "response_item", "event_msg", "turn_context")


def why_unknown(record: Any) -> str:
    """Of a record that no format recognises: what it is, and where it says how to write one."""
    told = f"of no known format: {what_it_is(record)}"
    if _hint(record) is not None:
        return f"{told} ({PAGE})"
    return (
        f"{told}; {PAGE} has the formats (format=, --format), and how to write logs of one's own "
        "as runs"
    )


def what_it_is(record: Any) -> str:
    """Its fields, and where it is known what wrote them, what makes a run of it. Looks at an
    object's fields and at those of objects in it."""
    hint = _hint(record)
    return _fields_of(record) if hint is None else f"{_fields_of(record)}; {hint}"


def _fields_of(record: Any) -> str:
    if isinstance(record, Mapping):
        return f"its fields are {shown_fields(record)}"
    return f"it is {shown(record)}; expected an object"


def _hint(record: Any) -> str | None:
    if _are_turns(record):
        return f"a run is {_RUN} (of an array of them: jq -c '.[] | {{messages: .}}' {_FILES})"
    if not isinstance(record, Mapping):
        return None
    if (tool := _tool_of(record)) is not None:
        return (
            f"a line of a session of {tool}, which is not read itself: make ATIF of the session by "
            "the package atif-make (atif-make FILE -o session.atif.json), and give that"
        )
    if _is_turn(record):
        return (
            f"a message by itself: a run is one record, {_RUN} (of an array of messages: jq -c "
            f"'{{messages: .}}' {_FILES})"
        )
    return _of_messages(record) or _of_runs(record)


def _tool_of(record: Mapping[str, Any]) -> str | None:
    kind = record.get("type")
    if not isinstance(kind, str):
        return None
    if kind in _OF_CLAUDE_CODE or not record.keys().isdisjoint(("parentUuid", "leafUuid")):
        return "Claude Code"
    return "Codex" if kind in _OF_CODEX and isinstance(record.get("payload"), Mapping) else None


def _of_messages(record: Mapping[str, Any]) -> str | None:
    """Of a record that has messages which are not read."""
    places = [visible(name) for name, value in _within(record) if _are_turns(value)]
    if places:
        found = ", ".join(places[:_SHOWN])
        return f"it has messages at {found}: write all messages of its run at messages"
    given = record.get("messages")
    if not isinstance(given, list | tuple):
        return None
    if not given:
        return "messages is empty: leave such runs out (on_error=skip, --on-error skip)"
    i = next(i for i, message in enumerate(given) if not _is_turn(message))
    told = f"messages[{i}] has no role ({_fields_of(given[i])})"
    if isinstance(given[i], Mapping) and {"type", "content"} <= given[i].keys():
        return f"{told}: LangChain's convert_to_openai_messages writes it"
    return f"{told}: a message is its role and content"


def _of_runs(record: Mapping[str, Any]) -> str | None:
    for name, value in record.items():
        if not isinstance(value, list | tuple) or not value:
            continue
        known = next((known for known in FORMATS if known.recognises(value[0])), None)
        if known is not None:
            way = f" (jq -c '.{name}[]' {_FILES})" if name.isidentifier() else ""
            return f"{visible(name)} holds records of {known.title}: write each by itself{way}"
    return None


def _within(record: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The fields, and those of objects in them."""
    for name, value in record.items():
        yield name, value
        if isinstance(value, Mapping):
            yield from ((f"{name}.{inner}", deeper) for inner, deeper in value.items())


def _are_turns(value: Any) -> bool:
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and len(value) > 0
        and all(_is_turn(message) for message in value)
    )


def _is_turn(value: Any) -> bool:
    return isinstance(value, Mapping) and "role" in value
