"""Chat messages as OpenAI's chat API has them, a run a record, with its reward beside them.

    {"task_id": "t1", "reward": 1.0, "messages": [
      {"role": "system", "content": "You are …"},
      {"role": "user", "content": "What is the weather in Oslo?"},
      {"role": "assistant", "content": null, "tool_calls": [{"id": "c1", "type": "function",
         "function": {"name": "weather", "arguments": "{\\"city\\": \\"Oslo\\"}"}}]},
      {"role": "tool", "tool_call_id": "c1", "content": "Rain."},
      {"role": "assistant", "content": "It rains."}]}

Source: the chat completions API's messages (`tool_calls`, `function_call` before them), also with
Anthropic's content blocks (`w2stree.formats.content_blocks`); `reward` and `task_id` are nobody's
standard, so the usual names are looked at and others can be chosen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from w2stree.errors import InvalidInput
from w2stree.formats.content_blocks import BESIDE, blocks_of, text_of, thought_in
from w2stree.formats.conversation import Said, messages_of, read_conversation, run_of
from w2stree.formats.format import Format
from w2stree.formats.left_over import FIELD, of_info, restored, with_left_over
from w2stree.formats.parallel_calls import Part, as_turns
from w2stree.formats.reader import Reader, Record, at, beside
from w2stree.formats.tool_calls import call_records, chat_calls
from w2stree.trajectories import fields
from w2stree.trajectories.trajectory import Trajectory

REWARDS = ("reward", "total_return", "return", "score", "total_reward", "info.reward", "info.score")
TASKS = ("task_id", "instance_id", "task", "problem_id", "example_id", "info.task_id")
_VERDICTS = (
    *("won", "win", "success", "succeeded", "successful", "is_success", "resolved", "solved"),
    *("passed", "correct", "is_correct", "verdict"),
)
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
    parts = as_turns(
        [
            part
            for i, message in enumerate(given)
            for part in _said_in(message, i, f"{where}: messages[{i}]")
        ]
    )
    parts = [*system_before(parts, record, where), *parts]
    conversation = read_conversation([said for said, _ in parts], where, reader)
    status, origin = reader.ending(record, where)
    task_id = reader.task_id(record, where, TASKS, conversation.prompt)
    reward = reader.reward(record, where, REWARDS, status=status)
    taken = ("messages", *of_system(record), FIELD)
    info = beside(record, taken, {"task_id": task_id, "reward": reward})
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
    rest = trajectory.info.get(UNREAD, {})
    messages = [
        message_record(message) | _of_number(rest, i, message.text)
        for i, message in enumerate(messages_of(trajectory))
    ]
    record = of_info(trajectory) | {
        "task_id": trajectory.task_id,
        "reward": trajectory.total_return,
        "messages": messages,
    }
    return with_left_over(record, trajectory, runs)


def verdict_in(record: Record) -> str | None:
    """The name of a field that says how well it went, as one of a run does: a return that is found
    by itself, or one that --reward-field has to name; None where there is none. `total_return`
    stands beside demonstrations too, and is none."""
    for name in REWARDS:
        if name != "total_return" and at(record, name) is not None:
            return name
    for within in ("", "info.", "meta.", "metadata."):
        for name in (*_VERDICTS, "reward", "score"):
            if isinstance(at(record, within + name), int | float):
                return within + name
    return None


def by_number(parts: Sequence[Part]) -> dict[str, Any]:
    """For `info`: what each message of a conversation has beside, by its number."""
    rest = {str(i): more for i, (_, more) in enumerate(parts) if more}
    return {UNREAD: rest} if rest else {}


def said_of(message: Any, where: str, number: int | None = None) -> Said:
    """One message of the API; raises `InvalidInput` for one that holds more than text and calls."""
    given = fields.mapping(message, where)
    role = fields.text(given.get("role"), f"{where}: role")
    answers = given.get("tool_call_id")
    return Said(
        _ROLES.get(role, role),
        _words(given, where),
        chat_calls(given, where),
        None if answers is None else fields.text(answers, f"{where}: tool_call_id"),
        number=number,
    )


def of_system(record: Record) -> tuple[str, ...]:
    """The field of a record that is what the system says before its messages, a text or texts, as
    Anthropic's API and LLaMA-Factory have it; none where there is none, or it says something else
    ({"os": "linux"})."""
    return ("system",) if record.get("system") and _may_be_said(record["system"]) else ()


def system_before(parts: Sequence[Part], record: Record, where: str) -> list[Part]:
    """That message; none where there is none, or where the messages begin with it themselves.
    Raises `InvalidInput` as `text_of` does, and where they begin with another one."""
    system = [text_of(record[name], f"{where}: {name}") for name in of_system(record)]
    first = parts[0][0] if parts else None
    if not system or first is None or first.role != "system":
        return [(Said("system", text), {}) for text in system]
    if first.text != system[0]:
        raise InvalidInput(
            f"{where}: system beside the messages is not the system's message in them; which of "
            "the two the model read is not said: take one of them away"
        )
    return []


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


def _said_in(message: Any, number: int, where: str) -> list[Part]:
    """A message, and what it has beside; one that has Anthropic's blocks may be several."""
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(content, list | tuple):
        return [(said_of(message, where, number), unread(message))]
    role = fields.text(message.get("role"), f"{where}: role")
    blocks = blocks_of(content, role, f"{where}: content")
    said = said_of({**message, "content": "".join(blocks.texts)}, where, number)
    if blocks.calls and said.calls not in ((), tuple(blocks.calls)):
        raise InvalidInput(
            f"{where}: content and tool_calls do not say the same calls: leave one of the two out"
        )
    said = replace(said, calls=said.calls or tuple(blocks.calls))
    found = {BESIDE: blocks.beside} if blocks.beside else {}
    rest = _one(unread(message), found | thought_in(blocks, message, where), where)
    answers = [(replace(answer, number=number), more) for answer, more in blocks.answers]
    if not answers:
        return [(said, rest)]
    if blocks.texts:
        return [*answers, (said, rest)]
    *others, (last, more) = answers
    return [*others, (last, _one(rest, more, where))]


def _one(rest: Mapping[str, Any], more: Mapping[str, Any], where: str) -> dict[str, Any]:
    for name in rest.keys() & more.keys():
        if rest[name] != more[name]:
            raise InvalidInput(
                f"{where}: content and {name} do not say the same: leave one of the two out"
            )
    return {**rest, **more}


def _words(given: Record, where: str) -> str:
    """What is refused is said too; what is said aloud is no text."""
    text, refusal = text_of(given.get("content"), f"{where}: content"), given.get("refusal")
    if isinstance(given.get("audio"), dict) and given["audio"]:
        raise InvalidInput(
            f"{where}: audio: sound is no part of a tree of texts: put its transcript into content "
            "and leave audio out"
        )
    if refusal is None or refusal in ("", text):
        return text
    if text:
        raise InvalidInput(
            f"{where}: has a content and a refusal: which of them was said is open; leave one out"
        )
    return fields.text(refusal, f"{where}: refusal")


def _may_be_said(value: Any) -> bool:
    return isinstance(value, str | list | tuple)


def _are_messages(given: Any) -> bool:
    return (
        isinstance(given, Sequence)
        and not isinstance(given, str)
        and len(given) > 0
        and all(isinstance(m, Mapping) and "role" in m for m in given)
    )


def _of_number(rest: Any, i: int, text: str) -> dict[str, Any]:
    """What message `i` has beside, without what would change its words."""
    more = rest.get(str(i)) if isinstance(rest, Mapping) else None
    if not isinstance(more, Mapping):
        return {}
    is_told = more.get("refusal", text) == text
    skipped = (*_READ, "audio") if is_told else (*_READ, "audio", "refusal")
    return {k: v for k, v in more.items() if k not in skipped}


FORMAT = Format(
    name="messages",
    title="chat messages (OpenAI)",
    recognises=recognises,
    runs=runs,
    record_of=record_of,
)
