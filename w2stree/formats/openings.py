"""Runs of one task whose openings differ: a date in the system's message, a simulated user's words.

task 3   "Hi! I'd like to cancel A1."      the first of its runs: the tree's root
         "Please cancel my order A1."      ──> that one too, and its own in info["opening"]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from w2stree.formats import atif, responses
from w2stree.formats.messages import UNREAD
from w2stree.formats.reader import Reader
from w2stree.shorten import quoted, where_they_part
from w2stree.trajectories.trajectory import Message, Trajectory

OPENING = "opening"
"""In `info`: the messages of the run's own opening, where it was given its task's first."""

_OTHER_NUMBERS = (responses.UNREAD, atif.UNREAD)
"""In `info`: what stands beside, by numbers that are not those of messages. Under another opening
these are of other items: they are put aside, as `opening_items` and `opening_steps`."""

_SHOWN_COLUMNS = 60


def with_one_opening(trajectories: Sequence[Trajectory], reader: Reader) -> list[Trajectory]:
    """Each task's runs with the prompt of the first of them, error rows apart, which are in no
    tree; notes how many had another, and shows where the first of these parts from it."""
    first: dict[str, Trajectory] = {}
    given: list[Trajectory] = []
    told = ""
    num_others = 0
    for trajectory in trajectories:
        if trajectory.status != "error":
            opener = first.setdefault(trajectory.task_id, trajectory)
            if opener.prompt != trajectory.prompt:
                told = told or _difference(opener, trajectory)
                num_others += 1
                trajectory = _opened_by(trajectory, opener.prompt)
            else:
                reader.note("opening", "its own")
        given.append(trajectory)
    for _ in range(num_others):
        reader.note("opening", f"its task's first: {told}")
    return given


def _opened_by(trajectory: Trajectory, prompt: tuple[Message, ...]) -> Trajectory:
    own: list[dict[str, Any]] = [{"role": m.role, "content": m.content} for m in trajectory.prompt]
    info = dict(trajectory.info)
    if _is_by_number(info.get(UNREAD)):
        info |= _moved(info.pop(UNREAD), own, len(prompt))
    for name in _OTHER_NUMBERS:
        if name in info:
            info[f"{OPENING}_{name}"] = info.pop(name)
    return replace(trajectory, prompt=prompt, info={**info, OPENING: own})


def _is_by_number(beside: Any) -> bool:
    return isinstance(beside, Mapping) and all(
        number.isdecimal() and isinstance(rest, Mapping) for number, rest in beside.items()
    )


def _moved(
    beside: Mapping[str, Mapping[str, Any]], own: list[dict[str, Any]], num_prompt: int
) -> dict[str, Any]:
    """What messages have beside what they say, by their numbers after another prompt; what those
    of the own prompt have is put into `own`."""
    moved = {}
    for number, rest in beside.items():
        i = int(number)
        if i < len(own):
            own[i] = {**rest, **own[i]}
        else:
            moved[str(i - len(own) + num_prompt)] = rest
    return {UNREAD: moved} if moved else {}


def _difference(one: Trajectory, other: Trajectory) -> str:
    """Of two openings that differ: the first message that does, from where they part."""
    place = f"of task {quoted(one.task_id, _SHOWN_COLUMNS)}"
    pairs = list(zip(one.prompt, other.prompt, strict=False))
    at = next((i for i, (a, b) in enumerate(pairs) if a != b), None)
    if at is None:
        return f"{place} has {len(one.prompt)} messages, another {len(other.prompt)}"
    a, b = pairs[at]
    if a.role != b.role:
        return f"{place} message {at + 1} is the {a.role}'s, another's the {b.role}'s"
    begin = where_they_part(a.content, b.content)
    shown = (quoted(m.content[begin:], _SHOWN_COLUMNS) for m in (a, b))
    return f"{place} message {at + 1} is " + ", another's ".join(shown)
