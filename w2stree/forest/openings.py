"""What the runs of one task were asked with: the same, unless told otherwise.

task-3   "It is 1 May. Cook."     equal (the rule): two tasks that share an id by mistake
         "It is 2 May. Cook."     any: one task, asked in other words: a date, a user's phrase
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from w2stree.errors import InvalidInput
from w2stree.shorten import quoted
from w2stree.trajectories.trajectory import Message

Openings = Literal["equal", "any"]

_AROUND = 12  # characters before the first that differs
_SHOWN = 40
_CHOICES = get_args(Openings)


def check_openings(openings: object) -> None:
    if openings not in _CHOICES:
        raise InvalidInput(f"openings is {openings!r}; use one of {', '.join(_CHOICES)}")


def refuse_other_opening(
    task_id: str,
    one_place: str,
    one: Sequence[Message],
    other_place: str,
    other: Sequence[Message],
) -> None:
    """Raises `InvalidInput` with where two prompts of one task differ, and what can be done."""
    raise InvalidInput(
        f"{one_place} and {other_place} have task_id {task_id!r} but different prompts: "
        f"{difference(one, other)}; give different tasks different ids, or take them for one task "
        'asked in other words (openings="any", --openings any)'
    )


def difference(one: Sequence[Message], other: Sequence[Message]) -> str:
    """The first place where two prompts differ, with the texts there."""
    for i, (a, b) in enumerate(zip(one, other, strict=False)):
        if a.role != b.role:
            return f"message {i + 1} is of the {a.role} and of the {b.role}"
        if a.content != b.content:
            begin = _first_difference(a.content, b.content)
            shown = [_around(text, begin) for text in (a.content, b.content)]
            return f"message {i + 1} has {shown[0]} and {shown[1]} from character {begin + 1} on"
    return f"{len(one)} and {len(other)} messages"


def _first_difference(one: str, other: str) -> int:
    both = zip(one, other, strict=False)
    return next((i for i, (a, b) in enumerate(both) if a != b), min(len(one), len(other)))


def _around(text: str, begin: int) -> str:
    """With what stands before it, to be found in a long text."""
    start = max(0, begin - _AROUND)
    return quoted(("…" if start else "") + text[start : begin + _SHOWN], _SHOWN)
