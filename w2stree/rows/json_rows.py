"""Rows as JSON lines. A run's chat is text once; a passage of it is a slice.

run      {"role":…},{"role":…},{"role":…},{"role":…}
starts   0          11         22         33         44
row      {"prompt":[└── 0 … 21 ──┘],"chosen":[└ 22…32 ┘], the plain columns}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from math import isfinite
from typing import Any

import msgspec

from w2stree.errors import InvalidInput
from w2stree.rows.chat import messages_of, whole
from w2stree.rows.columns import Column, Shown
from w2stree.rows.once import OncePerRun
from w2stree.trajectories.trajectory import Trajectory

_encode = msgspec.json.Encoder().encode


class JsonRows:
    """One table's encoder."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._chat = OncePerRun(_Chat)
        self._passages = [
            (_head(c.name, is_list=is_list), c.get, b"]," if is_list else b",")
            for c in columns
            if (is_list := c.type == "messages") or c.type == "message"
        ]
        self._plain = [
            (column.name, column.get)
            for column in columns
            if column.type not in ("messages", "message")
        ]

    def line(self, shown: Shown) -> bytes:
        """One row, its line break included. Raises `InvalidInput` for a number that JSON has no
        word for."""
        parts: list[bytes | bytearray] = [b"{"]
        for head, get, end in self._passages:
            run, first, last = get(shown)
            parts += (head, self._chat(run).text(first, last), end)
        record = {name: get(shown) for name, get in self._plain}
        try:
            plain = msgspec.json.encode(record)
        except UnicodeEncodeError:  # half of a surrogate pair
            plain = msgspec.json.encode(_whole(record))
        if b"null" in plain:  # which only a number that is none is written as
            for name, value in record.items():
                _refuse_infinite(name, value)
        parts += (plain[1:], b"\n")
        return b"".join(parts)


class _Chat:
    """A run's messages as text, separated by commas, as far as they were asked for."""

    def __init__(self, run: Trajectory) -> None:
        self._pending = messages_of(run)
        self._text = bytearray()
        self._starts = [0]

    def text(self, first: int, last: int) -> bytes | bytearray:
        """Messages [first, last)."""
        starts = self._starts
        if last >= len(starts):
            self._add(last + 1 - len(starts))
        return self._text[starts[first] : starts[last] - 1]

    def _add(self, count: int) -> None:
        """The next messages."""
        text, starts = self._text, self._starts
        for record in islice(self._pending, count):
            text += _encode(record)
            text += b","
            starts.append(len(text))


def _head(name: str, *, is_list: bool) -> bytes:
    return msgspec.json.encode(name) + (b":[" if is_list else b":")


def _refuse_infinite(name: str, value: Any) -> None:
    if isinstance(value, list):
        for inner in value:
            _refuse_infinite(name, inner)
    if isinstance(value, float) and not isfinite(value):
        raise InvalidInput(f"{name} is {value}, which JSON has no word for; leave such rows out")


def _whole(value: Any) -> Any:
    """With all its texts whole."""
    if isinstance(value, str):
        return whole(value)
    if isinstance(value, Mapping):
        return {name: _whole(inner) for name, inner in value.items()}
    return [_whole(inner) for inner in value] if isinstance(value, list) else value
