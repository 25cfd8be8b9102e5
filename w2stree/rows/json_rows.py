"""Rows as JSON lines. A run's chat is text once; a passage of it is a slice.

run      {"role":…},{"role":…},{"role":…},{"role":…}
starts   0          11         22         33         44
row      {"prompt":[└── 0 … 21 ──┘],"chosen":[└ 22…32 ┘], the plain columns}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from math import isfinite
from typing import Any

import msgspec

from w2stree.errors import InvalidInput
from w2stree.rows.chat import messages_of, whole
from w2stree.rows.columns import Column, Shown, Type
from w2stree.rows.once import OncePerRun
from w2stree.trajectories.trajectory import Trajectory


class JsonRows:
    """One table's encoder."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._chat = OncePerRun(_Chat)
        self._passages = [
            (_head(c.name, is_list=is_list), c.get, b"]" if is_list else b"")
            for c in columns
            if (is_list := c.type == "messages") or c.type == "message"
        ]
        self._plain = [
            (column.name, column.get, _cleaner(column.type))
            for column in columns
            if column.type not in ("messages", "message")
        ]

    def line(self, shown: Shown) -> bytes:
        """One row, its line break included. Raises `InvalidInput` for a number that JSON has no
        word for."""
        parts = [b"{"]
        for head, get, end in self._passages:
            run, first, last = get(shown)
            parts += (head, self._chat(run).text(first, last), end, b",")
        record = {}
        for name, get, clean in self._plain:
            value = get(shown)
            record[name] = value if clean is None else clean(name, value)
        parts += (msgspec.json.encode(record)[1:], b"\n")
        return b"".join(parts)


class _Chat:
    """A run's messages as text, separated by commas, as far as they were asked for."""

    def __init__(self, run: Trajectory) -> None:
        self._pending = messages_of(run)
        self._text = bytearray()
        self._starts = [0]

    def text(self, first: int, last: int) -> bytes:
        """Messages [first, last)."""
        starts = self._starts
        if last >= len(starts):
            for record in islice(self._pending, last + 1 - len(starts)):
                self._text += msgspec.json.encode(record) + b","
                starts.append(len(self._text))
        return bytes(memoryview(self._text)[starts[first] : starts[last] - 1])


def _head(name: str, *, is_list: bool) -> bytes:
    return msgspec.json.encode(name) + (b":[" if is_list else b":")


def _finite(name: str, value: float) -> float:
    if not isfinite(value):
        raise InvalidInput(f"{name} is {value}, which JSON has no word for; leave such rows out")
    return value


def _cleaner(type_: Type) -> Callable[[str, Any], Any] | None:
    if isinstance(type_, Mapping):
        return lambda _, value: {k: whole(v) if isinstance(v, str) else v for k, v in value.items()}
    return _CLEAN.get(type_)


_CLEAN: Mapping[str, Callable[[str, Any], Any]] = {
    "number": _finite,
    "text": lambda _, text: whole(text),
    "texts": lambda _, texts: [whole(text) for text in texts],
}
"""What is done to a value before it is encoded, by its type."""
