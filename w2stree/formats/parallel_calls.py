"""Calls of one turn that were written as messages of their own, put together again.

    assistant  call c1 ┐                       assistant  calls c1, c2
    assistant  call c2 ┘ no answer between     tool       answers c1
    tool       answers c2                      tool       answers c2
    tool       answers c1

Some loggers write a turn down so. It is one turn where every call of these messages is answered
once, after the last of them: had they been turns, the first one's answer would stand before the
second.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from w2stree.formats.conversation import Said

Part = tuple[Said, dict[str, Any]]
"""A message, and what it has beside."""


def as_turns(parts: Sequence[Part]) -> list[Part]:
    """The messages of a run, each turn one. O(messages and calls)."""
    if not any(one.calls and other.calls for (one, _), (other, _) in pairwise(parts)):
        return list(parts)
    messages = [said for said, _ in parts]
    made: list[Part] = []
    i = 0
    while i < len(parts):
        end = _end(messages, i, are_turns=True)
        after = _end(messages, end, are_turns=False)
        first = _first_of_turn(messages, i, end, after)
        made += parts[i:first]
        if first < end:
            made.append(_joined(parts[first:end]))
        made += parts[end:after]
        i = after
    return made


def _joined(parts: Sequence[Part]) -> Part:
    """One turn of several messages, its words a line each; what they have beside as of one, where
    they do not contradict one another."""
    if len(parts) == 1:
        return parts[0]
    messages = [said for said, _ in parts]
    text = "\n".join(said.text for said in messages if said.text)
    calls = tuple(call for said in messages for call in said.calls)
    made: dict[str, Any] = {}
    for _, rest in parts:
        if any(made.get(name, value) != value for name, value in rest.items()):
            made = {"messages": [rest for _, rest in parts]}
            break
        made |= rest
    return Said("assistant", text, calls, number=messages[0].number), made


def _end(messages: Sequence[Said], begin: int, *, are_turns: bool) -> int:
    end = begin
    while end < len(messages) and (messages[end].role == "assistant") is are_turns:
        end += 1
    return end


def _first_of_turn(messages: Sequence[Said], begin: int, end: int, after: int) -> int:
    """Of turns (from `begin`) and of what was said to the last of them (from `end`): where that
    last one begins."""
    first = end
    while first > begin and messages[first - 1].calls:
        first -= 1
    tools = [message for message in messages[end:after] if message.role == "tool"]
    return first if _are_one_turn(messages[first:end], tools) else max(begin, end - 1)


def _are_one_turn(turns: Sequence[Said], answers: Sequence[Said]) -> bool:
    """Whether each call has one answer: by its id, or all in their order where none names one."""
    calls = [call.id for turn in turns for call in turn.calls]
    named = [answer.answers for answer in answers]
    if len(turns) < 2 or len(named) != len(calls):
        return False
    if all(name is None for name in named):
        return True
    return len(set(calls)) == len(calls) and None not in calls and set(named) == set(calls)
