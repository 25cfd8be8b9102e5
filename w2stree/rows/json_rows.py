"""Rows as JSON lines. A run's chat is text once; a passage of it is a slice.

run      {"role":…},{"role":…},{"role":…},{"role":…}
starts   0          11         22         33         44
row      {"prompt":[└── 0 … 21 ──┘],"chosen":[└ 22…32 ┘],…}
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from json.encoder import encode_basestring
from math import isfinite
from typing import Any, NamedTuple

from w2stree.errors import InvalidInput
from w2stree.rows.chat import Passage, chat_of, whole
from w2stree.rows.columns import Column, Shown
from w2stree.trajectories.trajectory import Trajectory

_KEPT_BYTES = 32 << 20  # of chats as text, before they are forgotten and made anew
_KEPT_TEXTS = 1 << 16


class JsonRows:
    """One table's encoder."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._chats = _Chats()
        self._texts: dict[str, bytes] = {}
        self._parts = [
            (
                f"{',' if i else '{'}{json.dumps(column.name)}:".encode(),
                column.get,
                self._encoder(column),
            )
            for i, column in enumerate(columns)
        ]

    def line(self, shown: Shown) -> bytes:
        """One row, its line break included. Raises `InvalidInput` for a number that JSON has no
        word for."""
        parts: list[bytes] = []
        for head, get, encode in self._parts:
            parts.append(head)
            parts.append(encode(get(shown)))
        parts.append(b"}\n")
        return b"".join(parts)

    def _encoder(self, column: Column) -> Callable[[Any], bytes]:
        if isinstance(column.type, Mapping):
            return lambda value: _dumped(value)
        plain: dict[str, Callable[[Any], bytes]] = {
            "messages": self._chats.messages,
            "message": self._chats.message,
            "text": self._text,
            "texts": lambda texts: b"[" + b",".join(map(self._text, texts)) + b"]",
            "integer": b"%d".__mod__,
            "integers": lambda numbers: b"[" + ",".join(map(str, numbers)).encode() + b"]",
            "number": lambda value: _number(column.name, value),
            "truth": lambda value: b"true" if value else b"false",
        }
        return plain[column.type]

    def _text(self, text: str) -> bytes:
        known = self._texts.get(text)
        if known is None:
            if len(self._texts) >= _KEPT_TEXTS:
                self._texts.clear()
            known = self._texts[text] = encode_basestring(whole(text)).encode()
        return known


class _Chat(NamedTuple):
    run: Trajectory  # held, so that its id stays its own
    text: bytes
    starts: list[int]


class _Chats:
    def __init__(self) -> None:
        self._known: dict[int, _Chat] = {}
        self._num_bytes = 0

    def messages(self, passage: Passage) -> bytes:
        return b"[" + self.message(passage) + b"]"

    def message(self, passage: Passage) -> bytes:
        run, begin, end = passage
        chat = self._known.get(id(run)) or self._made(run)
        return chat.text[chat.starts[begin] : chat.starts[end] - 1]

    def _made(self, run: Trajectory) -> _Chat:
        if self._num_bytes > _KEPT_BYTES:
            self._known.clear()
            self._num_bytes = 0
        messages = [
            json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()
            for record in chat_of(run)
        ]
        starts = list(accumulate((len(message) + 1 for message in messages), initial=0))
        chat = self._known[id(run)] = _Chat(run, b",".join(messages), starts)
        self._num_bytes += len(chat.text)
        return chat


def _number(name: str, value: float) -> bytes:
    if not isfinite(value):
        raise InvalidInput(f"{name} is {value}, which JSON has no word for; leave such rows out")
    return repr(float(value)).encode()


def _dumped(value: Any) -> bytes:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return whole(text).encode()
