"""Chat messages as OpenAI's chat API has them, a run a record, with its reward beside them.

    {"task_id": "t1", "reward": 1.0, "messages": [
      {"role": "system", "content": "You are …"},
      {"role": "user", "content": "What is the weather in Oslo?"},
      {"role": "assistant", "content": null, "tool_calls": [{"id": "c1", "type": "function",
         "function": {"name": "weather", "arguments": "{\\"city\\": \\"Oslo\\"}"}}]},
      {"role": "tool", "tool_call_id": "c1", "content": "Rain."},
      {"role": "assistant", "content": "It rains."}]}

Source: the chat completions API's messages (`tool_calls`, `function_call` before them); `reward`
and `task_id` are nobody's standard, so the usual names are looked at and others can be chosen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from w2stree.errors import InvalidInput
from w2stree.formats.conversation import Said, messages_of, read_conversation, run_of
from w2stree.formats.format import Format
from w2stree.formats.left_over import FIELD, of_info, restored, with_left_over
from w2stree.formats.reader import Reader, Record, beside
from w2stree.formats.tool_calls import call_records, chat_calls
from w2stree.shorten import quoted
from w2stree.trajectories import fields
from w2stree.trajectories.trajectory import Trajectory

REWARDS = ("reward", "total_return", "return", "score", "total_reward", "info.reward", "info.score")
TASKS = ("task_id", "instance_id", "task", "problem_id", "example_id", "info.task_id")
UNREAD = "messages"
"""In `info`: by a message's number, from 0, what it has beside role, content and calls."""

_PICTURES = ("images", "videos", "audios")
_READ = ("role", "content", "tool_calls", "function_call", "tool_call_id")
_ROLES = {"developer": "system", "function": "tool"}


def recognises(record: Any) -> bool:
    return isinstance(record, Mapping) and _are_messages(record.get("messages"))


def runs(record: Record, where: str, reader: Reader) -> Iterator[Trajectory]:
    given = fields.array(record.get("messages"), f"{where}: messages")
    refuse_pictures(record, where)
    said = [said_of(message, f"{where}: messages[{i}]") for i, message in enumerate(given)]
    conversation = read_conversation(said, where, reader)
    status, origin = reader.ending(record, where)
    task_id = reader.task_id(record, where, TASKS, conversation.prompt)
    reward = reader.reward(record, where, REWARDS, status=status)
    rest = {str(i): more for i, message in enumerate(given) if (more := unread(message))}
    info = beside(record, ("messages", FIELD), {"task_id": task_id, "reward": reward})
    read = run_of(
        conversation,
        where,
        task_id=task_id,
        total_return=reward,
        status=status,
        origin=origin,
        info=info | ({UNREAD: rest} if rest else {}),
    )
    yield restored(read, record.get(FIELD), where, reader)


def record_of(trajectory: Trajectory) -> Record:
    rest = trajectory.info.get(UNREAD, {})
    messages = [
        message_record(message) | _of_number(rest, i)
        for i, message in enumerate(messages_of(trajectory))
    ]
    record = of_info(trajectory) | {
        "task_id": trajectory.task_id,
        "reward": trajectory.total_return,
        "messages": messages,
    }
    return with_left_over(record, trajectory, runs)


def said_of(message: Any, where: str) -> Said:
    """One message of the API; raises `InvalidInput` for one that holds more than text and calls."""
    given = fields.mapping(message, where)
    role = fields.text(given.get("role"), f"{where}: role")
    answers = given.get("tool_call_id")
    return Said(
        _ROLES.get(role, role),
        text_of(given.get("content"), f"{where}: content"),
        chat_calls(given, where),
        None if answers is None else fields.text(answers, f"{where}: tool_call_id"),
    )


def text_of(content: Any, where: str) -> str:
    """A text, or the texts of its parts one after the other; nothing is "". Raises `InvalidInput`
    for a part that is no text: a picture is no part of a tree of texts."""
    if content is None:
        return ""
    if isinstance(content, str):
        return fields.text(content, where)
    parts = fields.array(content, where)
    return "".join(_part(part, f"{where}[{i}]") for i, part in enumerate(parts))


def refuse_pictures(record: Record, where: str) -> None:
    """Raises `InvalidInput` for pictures, videos or sound beside the messages, as LLaMA-Factory and
    TRL have them: without them the messages would be read as other ones."""
    for name in _PICTURES:
        if record.get(name):
            raise InvalidInput(
                f"{where}: {name}: pictures and sound are no part of what is said; leave such "
                "records out (of runs: --on-error skip)"
            )


def unread(message: Any) -> dict[str, Any]:
    """What `said_of` does not take of a message."""
    return {k: v for k, v in message.items() if k not in _READ and v is not None}


def message_record(said: Said) -> dict[str, Any]:
    content = None if said.calls and not said.text else said.text
    record: dict[str, Any] = {"role": said.role, "content": content}
    if said.calls:
        record["tool_calls"] = call_records(said.calls)
    if said.answers is not None:
        record["tool_call_id"] = said.answers
    return record


def _part(part: Any, where: str) -> str:
    if isinstance(part, str):
        return fields.text(part, where)
    given = fields.mapping(part, where)
    for name in ("text", "refusal"):
        if isinstance(given.get(name), str):
            return fields.text(given[name], f"{where}.{name}")
    raise InvalidInput(
        f"{where} is of the type {quoted(str(given.get('type')), 40)} and has no text; only texts "
        "can be read: put a text in its place, or leave such runs out (on_error=skip, --on-error "
        "skip)"
    )


def _are_messages(given: Any) -> bool:
    return (
        isinstance(given, Sequence)
        and not isinstance(given, str)
        and len(given) > 0
        and all(isinstance(m, Mapping) and "role" in m for m in given)
    )


def _of_number(rest: Any, i: int) -> dict[str, Any]:
    more = rest.get(str(i)) if isinstance(rest, Mapping) else None
    return {k: v for k, v in more.items() if k not in _READ} if isinstance(more, Mapping) else {}


FORMAT = Format(
    name="messages",
    title="chat messages (OpenAI)",
    recognises=recognises,
    runs=runs,
    record_of=record_of,
)
