"""An id for every tool call, for formats that ask for one.

assistant  weather {}  (no id)      assistant  weather {}  call_1
tool       Rain.                    tool       Rain.       answers call_1
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count

from w2stree.formats.conversation import Said


def with_call_ids(messages: Sequence[Said]) -> list[Said]:
    """The messages with ids that no other call has, where a call had none; an answer that names no
    call names the first of its turn that was not answered."""
    taken = {call.id for message in messages for call in message.calls}
    fresh = (name for i in count(1) if (name := f"call_{i}") not in taken)
    made: list[Said] = []
    open_ids: list[str] = []
    for message in messages:
        if message.role == "assistant":
            calls = tuple(c if c.id else replace(c, id=next(fresh)) for c in message.calls)
            open_ids = [call.id or "" for call in calls]
            message = replace(message, calls=calls)
        elif message.role == "tool" and open_ids:
            named = message.answers if message.answers in open_ids else open_ids[0]
            open_ids.remove(named)
            message = replace(message, answers=named)
        made.append(message)
    return made


def with_empty_answers(messages: Sequence[Said]) -> list[Said]:
    """The messages with an empty answer between two turns of the assistant, for formats in which
    only an answer ends a turn. Ids of calls must be there."""
    return list(_answered(messages))


def _answered(messages: Sequence[Said]) -> Iterator[Said]:
    before: Said | None = None
    for message in messages:
        if before is not None and before.role == message.role == "assistant":
            calls = before.calls
            yield Said("tool", "", answers=calls[0].id) if len(calls) == 1 else Said("user", "")
        yield message
        before = message
