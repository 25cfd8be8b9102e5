"""What errors have in common: one cause each, whatever number, id or address stands in them.

environment process 4711 (doors, doors/train/3): no answer within 60 s ─┐
environment process 4790 (doors, doors/train/8): no answer within 60 s ─┴─ 2, told by the first
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from w2stree.environments.hosting.process import LAST_WROTE
from w2stree.trajectories.trajectory import Trajectory

_MOST_KINDS = 1_000
"""Beyond them causes are counted and not told apart: texts that never repeat would fill memory."""

_WORD = re.compile(r"[\w.-]+")
_CODE = re.compile(r"(code|status|HTTP|answers)\W{1,3}$")
_CODE_COLUMNS = 10


@dataclass(frozen=True, slots=True)
class Cause:
    """`count` errors that differ in details alone; `example` is the first of them."""

    count: int
    example: str


class Causes:
    """Counts errors by their cause."""

    def __init__(self) -> None:
        self.total = 0
        self._by_kind: dict[str, Cause] = {}

    def add(self, trajectory: Trajectory) -> None:
        """Count an error row."""
        self.total += 1
        error = trajectory.origin.error or "no cause is recorded"
        self._count(_kind(error, trajectory.task_id), Cause(1, error))

    def add_all(self, by_kind: Mapping[str, Cause]) -> None:
        """Count what others have counted (`by_kind`)."""
        for kind, cause in by_kind.items():
            self.total += cause.count
            self._count(kind, cause)

    @property
    def by_kind(self) -> Mapping[str, Cause]:
        """The causes by what they have in common."""
        return self._by_kind

    def _count(self, kind: str, cause: Cause) -> None:
        known = self._by_kind.get(kind)
        if known is not None:
            self._by_kind[kind] = replace(known, count=known.count + cause.count)
        elif len(self._by_kind) < _MOST_KINDS:
            self._by_kind[kind] = cause

    def commonest(self) -> list[Cause]:
        """The causes, the most frequent first; of equals the one seen first."""
        return sorted(self._by_kind.values(), key=lambda cause: -cause.count)


def _kind(error: str, task_id: str) -> str:
    """The error without what changes from one to the next: its task, words with a digit in them
    (numbers, ids, addresses; not a status code), what a process happened to write last."""
    text = error.partition(LAST_WROTE)[0]
    if task_id:
        text = text.replace(task_id, "#")
    return _WORD.sub(lambda found: _without_details(text, found), text)


def _without_details(text: str, found: re.Match[str]) -> str:
    word = found.group()
    if not any(map(str.isdecimal, word)):
        return word
    before = text[max(0, found.start() - _CODE_COLUMNS) : found.start()]
    return word if len(word) == 3 and _CODE.search(before) else "#"
