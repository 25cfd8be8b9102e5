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
from w2stree.formats.parallel_calls import joined, together
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
    said, rests = _read(given, f"{where}: messages")
    system = _system_before(said, record, where)
    said = [*system, *said]
    conversation = read_conversation(said, where, reader)
    status, origin = reader.ending(record, where)
    task_id = reader.task_id(record, where, TASKS, conversation.prompt)
    reward = reader.reward(record, where, REWARDS, status=status)
    rest = {str(i): more for i, more in enumerate(rests, len(system)) if more}
    taken = ("messages", *of_system(record), FIELD)
    info = beside(record, taken, {"task_id": task_id, "reward": reward})
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


def said_of(message: Any, where: str) -> Said:
    """One message of the API; raises `InvalidInput` for one that holds more than text and calls."""
    given = fields.mapping(message, where)
    role = fields.text(given.get("role"), f"{where}: role")
    answers = given.get("tool_call_id")
    return Said(
        _ROLES.get(role, role),
        _words(given, where),
        chat_calls(given, where),
        None if answers is None else fields.text(answers, f"{where}: tool_call_id"),
    )


def of_system(record: Record) -> tuple[str, ...]:
    """The field of a record that is what the system says before its messages, a text or texts, as
    Anthropic's API and LLaMA-Factory have it; none where there is none, or it says something else
    ({"os": "linux"})."""
    return ("system",) if record.get("system") and _may_be_said(record["system"]) else ()


def system_beside(record: Record, where: str) -> list[Said]:
    """That message, or none; raises `InvalidInput` as `text_of`."""
    return [Said("system", text_of(record[name], f"{where}: {name}")) for name in of_system(record)]


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


def _read(given: Sequence[Any], where: str) -> tuple[list[Said], list[dict[str, Any]]]:
    """What is said, as the API has it, and by its number there what each message has beside."""
    parts: list[tuple[Said, dict[str, Any]]] = []
    numbers: list[int] = []
    for i, message in enumerate(given):
        found = _said_in(message, f"{where}[{i}]")
        parts += found
        numbers += [i] * len(found)
    groups = together([said for said, _ in parts])
    if len(groups) == len(parts) == len(given):  # most are, and their numbers are their places
        return [said for said, _ in parts], [rest for _, rest in parts]
    parts = [
        (replace(said, number=i), rest) for i, (said, rest) in zip(numbers, parts, strict=True)
    ]
    said = [joined([parts[n][0] for n in group]) for group in groups]
    return said, [_beside_all([parts[n][1] for n in group]) for group in groups]


def _said_in(message: Any, where: str) -> list[tuple[Said, dict[str, Any]]]:
    """A message, and what it has beside; one that has Anthropic's blocks may be several."""
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(content, list | tuple):
        return [(said_of(message, where), unread(message))]
    role = fields.text(message.get("role"), f"{where}: role")
    blocks = blocks_of(content, role, f"{where}: content")
    said = said_of({**message, "content": "".join(blocks.texts)}, where)
    if blocks.calls and said.calls not in ((), tuple(blocks.calls)):
        raise InvalidInput(
            f"{where}: content and tool_calls do not say the same calls: leave one of the two out"
        )
    said = replace(said, calls=said.calls or tuple(blocks.calls))
    found = {BESIDE: blocks.beside} if blocks.beside else {}
    rest = _one(unread(message), found | thought_in(blocks, message, where), where)
    if not blocks.answers:
        return [(said, rest)]
    if blocks.texts:
        return [*blocks.answers, (said, rest)]
    *others, (last, more) = blocks.answers
    return [*others, (last, _one(rest, more, where))]


def _one(rest: Mapping[str, Any], more: Mapping[str, Any], where: str) -> dict[str, Any]:
    for name in rest.keys() & more.keys():
        if rest[name] != more[name]:
            raise InvalidInput(
                f"{where}: content and {name} do not say the same: leave one of the two out"
            )
    return {**rest, **more}


def _beside_all(rests: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Of the messages of one turn: as of one, where they do not contradict one another."""
    made: dict[str, Any] = {}
    for rest in rests:
        if any(made.get(name, value) != value for name, value in rest.items()):
            return {"messages": list(rests)}
        made |= rest
    return made


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


def _system_before(said: Sequence[Said], record: Record, where: str) -> list[Said]:
    """What the system says beside the messages, unless they begin with it themselves."""
    system = system_beside(record, where)
    if not system or not said or said[0].role != "system":
        return system
    if said[0].text != system[0].text:
        raise InvalidInput(
            f"{where}: system beside the messages is not the system's message in them; which of "
            "the two the model read is not said: take one of them away"
        )
    return []


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
