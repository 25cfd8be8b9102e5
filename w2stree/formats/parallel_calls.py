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

from collections.abc import Iterator, Sequence
from itertools import pairwise

from w2stree.formats.conversation import Said


def together(messages: Sequence[Said]) -> list[tuple[int, ...]]:
    """The numbers of the messages that are one, in their order. O(messages and calls)."""
    if not any(one.calls and other.calls for one, other in pairwise(messages)):
        return [(i,) for i in range(len(messages))]
    groups: list[tuple[int, ...]] = []
    i = 0
    while i < len(messages):
        end = _end(messages, i, are_turns=True)
        after = _end(messages, end, are_turns=False)
        groups += _groups(messages, i, end, after)
        i = after
    return groups


def joined(parts: Sequence[Said]) -> Said:
    """One turn of several messages, its words a line each."""
    if len(parts) == 1:
        return parts[0]
    text = "\n".join(part.text for part in parts if part.text)
    calls = tuple(call for part in parts for call in part.calls)
    return Said("assistant", text, calls, number=parts[0].number)


def _end(messages: Sequence[Said], begin: int, *, are_turns: bool) -> int:
    end = begin
    while end < len(messages) and (messages[end].role == "assistant") is are_turns:
        end += 1
    return end


def _groups(
    messages: Sequence[Said], begin: int, end: int, after: int
) -> Iterator[tuple[int, ...]]:
    """Of turns (from `begin`) and of what was said to the last of them (from `end`)."""
    first = end
    while first > begin and messages[first - 1].calls:
        first -= 1
    tools = [n for n in range(end, after) if messages[n].role == "tool"]
    if not _are_one_turn(messages[first:end], [messages[n] for n in tools]):
        first = max(begin, end - 1)
    yield from ((n,) for n in range(begin, first))
    if first < end:
        yield tuple(range(first, end))
    yield from ((n,) for n in range(end, after))


def _are_one_turn(turns: Sequence[Said], answers: Sequence[Said]) -> bool:
    """Whether each call has one answer: by its id, or all in their order where none names one."""
    calls = [call.id for turn in turns for call in turn.calls]
    named = [answer.answers for answer in answers]
    if len(turns) < 2 or len(named) != len(calls):
        return False
    if all(name is None for name in named):
        return True
    return len(set(calls)) == len(calls) and None not in calls and set(named) == set(calls)
