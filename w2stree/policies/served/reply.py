"""A server's reply, from whatever JSON it is to a turn: checked once, here.

    {"choices": [{"message": {"content": "Action: go"}, "finish_reason": "stop",
                  "token_ids": […], "logprobs": {"content": [{"logprob": -0.5}, …]}}],
     "usage": {"completion_tokens": 3}}

What the protocol promises (one choice, with a message that is text, text parts or tool calls) is
there, or `MalformedReply` says what is instead. What it need not give is kept where it is what it
should be (ids that are ids, a finite log-probability for each) and is otherwise not there.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from w2stree.errors import InvalidInput
from w2stree.shorten import quoted, shorten
from w2stree.trajectories.tool_call import ToolCall
from w2stree.turns.turn import AgentTurn

_MAX_ID = 2**31
_THINKING = ("reasoning_content", "reasoning", "thinking")
"""Where servers put a model's thinking, beside what it then says."""
_THOUGHTS = ("thinking", "reasoning")
"""The types of its parts, among those of what it says."""


class MalformedReply(Exception):  # noqa: N818 (as the errors of the package)
    """A reply that is no reply: worth asking again."""


@dataclass(frozen=True, slots=True)
class Completion:
    """The ids that continue a prompt of ids, None where the server gives none; a log-probability
    for each, NaN where it is not known. `has_stopped`: the model ended, not the limit."""

    token_ids: tuple[int, ...] | None
    logprobs: tuple[float, ...]
    has_stopped: bool


def turn_in(reply: Any) -> AgentTurn:
    """The turn that a chat completion says; raises `MalformedReply` where it says none.

    A model that only thought has a turn without words: its thinking is the server's to keep.
    """
    choice = _only_choice(reply)
    message = _object(choice.get("message"), "the message")
    text, tool_calls = _text(message), _tool_calls(message.get("tool_calls"))
    ids = _ids(choice.get("token_ids"))
    is_cut = choice.get("finish_reason") == "length"
    # With ids, the model did end its turn at once.
    if not (text or ids or tool_calls or is_cut or _has_thought(message)):
        raise MalformedReply(f"the reply's message is empty{_reason(choice)}")
    return AgentTurn(
        text,
        ids,
        _whole(_logprobs_of_chat(choice.get("logprobs")), ids),
        tool_calls,
        is_cut=is_cut,
        num_tokens=None if ids else _count(reply),
    )


def completion_in(reply: Any, *, num_ids: int) -> Completion:
    """What a completion of token ids says, all of them below `num_ids`."""
    choice = _only_choice(reply)
    has_stopped = choice.get("finish_reason") == "stop"
    given = choice.get("token_ids")
    if given is None:
        return Completion(None, (), has_stopped)
    ids = () if given == [] else _ids(given)
    if ids is None:
        raise MalformedReply(f"the reply's token_ids are no ids: {_shown(given)}")
    if ids and max(ids) >= num_ids:
        raise MalformedReply(
            f"the reply has the token id {max(ids)}, and the tokenizer {num_ids} ids: is it the "
            "served model's?"
        )
    scores = choice.get("logprobs")
    given = scores.get("token_logprobs") if isinstance(scores, dict) else None
    logprobs = [_number(score) for score in given] if isinstance(given, list) else []
    fits = len(logprobs) == len(ids)
    return Completion(ids, tuple(logprobs) if fits else (math.nan,) * len(ids), has_stopped)


def _only_choice(reply: Any) -> dict[str, Any]:
    choices = reply.get("choices") if isinstance(reply, dict) else None
    if not isinstance(choices, list) or not choices:
        raise MalformedReply(f"the reply has no choices: {_shown(reply)}")
    if len(choices) > 1:
        raise MalformedReply(f"the reply has {len(choices)} choices; one was asked for")
    return _object(choices[0], "the choice")


def _object(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise MalformedReply(f"{name} of the reply is {_shown(value)}; expected an object")
    return value


def _text(message: dict[str, Any]) -> str:
    """A message's words, of several parts where it has them; where the model refuses, those."""
    content = message.get("content")
    if content is None:
        content = message.get("refusal") or ""
    parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
    return _without_halves("".join(map(_said, parts)))


def _has_thought(message: dict[str, Any]) -> bool:
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    return any(isinstance(message.get(key), str) and message[key] for key in _THINKING) or any(
        isinstance(part, dict) and part.get("type") in _THOUGHTS for part in parts
    )


def _said(part: Any) -> str:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind in _THOUGHTS:
        return ""
    text = part.get("refusal" if kind == "refusal" else "text") if isinstance(part, dict) else None
    if kind not in ("text", "output_text", "refusal") or not isinstance(text, str):
        wrong = text if kind == "text" else part
        raise MalformedReply(f"the content of the reply is {_shown(wrong)}; expected text")
    return text


def _without_halves(text: str) -> str:
    """Halves of surrogate pairs, which JSON can say and UTF-8 cannot, joined, or U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _tool_calls(given: Any) -> tuple[ToolCall, ...]:
    if given is None:
        return ()
    if not isinstance(given, list):
        raise MalformedReply(f"the reply's tool_calls are {_shown(given)}; expected a list")
    return tuple(map(_tool_call, given))


def _tool_call(given: Any) -> ToolCall:
    function = _object(_object(given, "a tool call").get("function"), "a tool call's function")
    arguments, call_id = function.get("arguments"), given.get("id")
    try:
        if isinstance(arguments, dict):  # some servers read it already
            arguments = json.dumps(arguments)
        call = ToolCall(
            function.get("name", ""),
            "{}" if arguments is None or arguments == "" else arguments,
            call_id if isinstance(call_id, str) and call_id else None,
        )
        call.parsed_arguments()  # a log's may be broken; of a server's reply another is asked for
        return call
    except (InvalidInput, RecursionError) as error:
        raise MalformedReply(f"the reply calls a tool, but {error}") from None


def _ids(given: Any) -> tuple[int, ...] | None:
    """Token ids; None for what is none, an empty list among it."""
    if not isinstance(given, list) or not given:
        return None
    are_ids = all(type(value) is int and 0 <= value < _MAX_ID for value in given)
    return tuple(given) if are_ids else None


def _logprobs_of_chat(given: Any) -> list[float]:
    content = given.get("content") if isinstance(given, dict) else None
    tokens = content if isinstance(content, list) else []
    return [
        _number(token.get("logprob")) if isinstance(token, dict) else math.nan for token in tokens
    ]


def _whole(logprobs: list[float], ids: tuple[int, ...] | None) -> tuple[float, ...] | None:
    """Log-probabilities of all tokens, or none."""
    fits = bool(logprobs) and (ids is None or len(ids) == len(logprobs))
    return tuple(logprobs) if fits and all(map(math.isfinite, logprobs)) else None


def _number(value: Any) -> float:
    """NaN for what is no number, or none that a float can be."""
    if type(value) not in (int, float):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.nan


def _count(reply: dict[str, Any]) -> int | None:
    """Tokens as the server counts them; None for no number, and for 0, which no turn has: some
    servers fill `usage` with zeros."""
    usage = reply.get("usage")
    count = usage.get("completion_tokens") if isinstance(usage, dict) else None
    return count if type(count) is int and 0 < count < 2**53 else None


def _reason(choice: dict[str, Any]) -> str:
    reason = choice.get("finish_reason")
    return f" (finish_reason {_shown(reason)})" if reason not in (None, "stop") else ""


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return quoted(_without_halves(value), 200)
    try:
        return shorten(repr(value), 200)
    except RecursionError:
        return f"a {type(value).__name__} nested without end"
