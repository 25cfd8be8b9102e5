"""Rows of chat messages, as TRL's datasets have them, read back as trajectories.

    {"prompt":   [system, user, assistant, user],         prompt   system, user
     "chosen":   [assistant, user, assistant],      ──>   steps    assistant+user │ assistant+user,
     "rejected": [assistant]}                                      shared history │ assistant

Trained as trajectories, the agent's turns alone are scored, where stock trainers score the
environment's answers inside a continuation too. A row does not say which of its turns holds an
action: all of them are taught.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from w2stree.errors import InvalidInput
from w2stree.formats.messages import of_system, refuse_pictures
from w2stree.rows.rows import PreferenceRow
from w2stree.shorten import quoted
from w2stree.trajectories.trajectory import Message, Step, Trajectory

_SHOWN_COLUMNS = 60
_READ = ("role", "content", "tool_calls")
_OF_TEMPLATES = ("tools", "chat_template_kwargs")


def preference_row(record: Mapping[str, Any], where: str) -> PreferenceRow:
    """A row of `prompt`, `chosen`, `rejected`, or of whole conversations without `prompt`.

    What both sides begin with is then the prompt. Returns and the gap are those that
    `preference_dataset` wrote beside them; 1 and 0 where a row has none.

    Raises `InvalidInput`, beginning with `where`, for what is no list of messages, for roles that
    do not take turns, for an empty turn and for two sides that are the same.
    """
    _refuse_beside(record, where)
    chosen, rejected = (_messages(record, side, where) for side in ("chosen", "rejected"))
    if record.get("prompt") is None:
        shared = _num_shared(chosen, rejected)
        prompt, chosen, rejected = chosen[:shared], chosen[shared:], rejected[shared:]
    else:
        prompt = _messages(record, "prompt", where)
    if chosen == rejected:
        raise InvalidInput(f"{where}: chosen and rejected are the same; there is nothing to prefer")
    returns = (
        _number(record, "chosen_return", 1.0, where),
        _number(record, "rejected_return", 0.0, where),
    )
    sides = [
        _trajectory(record, [*prompt, *side], total_return, f"{where}: prompt and {name}")
        for name, side, total_return in zip(
            ("chosen", "rejected"), (chosen, rejected), returns, strict=True
        )
    ]
    begin = sum(message.role == "assistant" for message in prompt)
    for name, side in zip(("chosen", "rejected"), sides, strict=True):
        if len(side.steps) == begin:
            raise InvalidInput(f"{where}: {name} has no turn of the assistant")
    return PreferenceRow(
        chosen=sides[0],
        rejected=sides[1],
        begin=begin,
        end=None,
        divergence=int(_number(record, "divergence", 0, where)),
        gap=_number(record, "gap", 1.0, where),
        chosen_return=returns[0],
        rejected_return=returns[1],
        num_chosen=int(_number(record, "num_chosen", 1, where)),
        num_rejected=int(_number(record, "num_rejected", 1, where)),
    )


def conversation(record: Mapping[str, Any], where: str) -> Trajectory:
    """A row of `messages`; raises as `preference_row`."""
    _refuse_beside(record, where)
    messages = _messages(record, "messages", where)
    total_return = _number(record, "total_return", 1.0, where)
    return _trajectory(record, messages, total_return, f"{where}: messages")


def _trajectory(
    record: Mapping[str, Any], messages: Sequence[Message], total_return: float, where: str
) -> Trajectory:
    roles = [message.role for message in messages]
    if "assistant" not in roles:
        raise InvalidInput(f"{where}: no turn of the assistant to learn from")
    first = roles.index("assistant")
    if not first:
        raise InvalidInput(f"{where}: begin with the assistant; a task (user, system) comes first")
    steps = []
    for i in range(first, len(messages), 2):
        turn, answer = messages[i], messages[i + 1] if i + 1 < len(messages) else None
        if turn.role != "assistant" or (answer is not None and answer.role != "user"):
            wrong = i if turn.role != "assistant" else i + 1
            raise InvalidInput(
                f"{where}: message {wrong + 1} is of the {roles[wrong]}; after the task, assistant "
                "and user take turns"
            )
        if not turn.content:
            raise InvalidInput(f"{where}: message {i + 1}, a turn of the assistant, is empty")
        steps.append(Step(turn.content, answer.content if answer else "", turn.content))
    task_id = record.get("task_id")
    return Trajectory(
        task_id if isinstance(task_id, str) else "",
        tuple(messages[:first]),
        tuple(steps),
        total_return,
        "done",
    )


def _messages(record: Mapping[str, Any], name: str, where: str) -> list[Message]:
    given = record.get(name)
    if given is None:
        fields = ", ".join(map(str, record))
        raise InvalidInput(
            f"{where}: has no {name}; its fields are {quoted(fields, _SHOWN_COLUMNS)}: rows of one "
            "file are of one kind"
        )
    if not isinstance(given, Sequence) or isinstance(given, str):
        found = quoted(str(given), _SHOWN_COLUMNS)
        raise InvalidInput(
            f"{where}: {name} is {found}; give a list of chat messages (role, content)"
        )
    return [_message(message, f"{where}: {name}[{i}]") for i, message in enumerate(given)]


def _message(given: Any, where: str) -> Message:
    if not isinstance(given, Mapping):
        raise InvalidInput(f"{where} is no message; give role and content")
    if given.get("tool_calls"):
        raise InvalidInput(
            f"{where} has tool calls, which each chat template writes in its own way; train from "
            "the trajectories that hold them"
        )
    _refuse_unread(given, where)
    if not isinstance(given.get("content"), str):
        raise InvalidInput(f"{where}: content is {type(given.get('content')).__name__}; give text")
    try:
        return Message(str(given.get("role")), given["content"])
    except InvalidInput as error:
        raise InvalidInput(f"{where}: {error}") from None


def _refuse_unread(message: Mapping[str, Any], where: str) -> None:
    """A template writes thoughts and names too, which a `Message` has no place for."""
    unread = [name for name in message if name not in _READ and message[name]]
    if unread:
        raise InvalidInput(
            f"{where} has {', '.join(unread)}, which would not be learned from; a message is its "
            "role and content: write into content what is to be learned, and leave out the rest"
        )


def _refuse_beside(record: Mapping[str, Any], where: str) -> None:
    refuse_pictures(record, where)
    for name in _OF_TEMPLATES:
        if record.get(name):
            raise InvalidInput(
                f"{where} has {name}, which each chat template writes in its own way; train from "
                "the trajectories, or from token rows (input_ids, labels) made with them"
            )
    if of_system(record):
        raise InvalidInput(
            f"{where} has system beside its messages, which no trainer of such rows reads: make it "
            "their first message, of the role system, or take it away"
        )


def _number(record: Mapping[str, Any], name: str, default: float, where: str) -> float:
    """Tables write what is missing as NaN, which would pass for a number."""
    value = record.get(name)
    if not isinstance(value, int | float):
        return default
    if not abs(value) <= sys.float_info.max:
        raise InvalidInput(f"{where}: {name} is {value}; give a finite number, or leave it out")
    return float(value)


def _num_shared(a: Sequence[Message], b: Sequence[Message]) -> int:
    return next(
        (i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b))
    )
