"""Rows as JSON lines. A message is text once, and so is a passage that rows in turn share.

run   {"role":…},  {"role":…},  {"role":…},  {"role":…},       equal messages are one text
row   {"prompt":[  └────── 0 … 1 ──────┘  ],"chosen":[  └ 2 ┘  ], the plain columns}

Each plain column of a block of rows is encoded at once; then all parts are joined once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, repeat
from math import isfinite
from typing import Any

import msgspec

from w2stree.errors import InvalidInput
from w2stree.rows.chat import Passages, messages_of, whole
from w2stree.rows.columns import Column, Shown
from w2stree.rows.once import OncePerRun
from w2stree.trajectories.answers import with_answers
from w2stree.trajectories.trajectory import Step, Trajectory

_ENCODER = msgspec.json.Encoder()
_KEPT_BYTES = 1 << 24  # of messages


class JsonRows:
    """One table's encoder."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._encoded = _ByRole()
        self._chat = OncePerRun(lambda run: _Chat(run, self._encoded))
        passages = [c for c in columns if c.type in ("messages", "message")]
        self._columns = passages + [c for c in columns if c.type not in ("messages", "message")]
        heads: list[bytes] = []
        end = b"{"
        for column in self._columns:
            heads.append(end + _ENCODER.encode(column.name) + b":")
            end = b","
            if column.type == "messages":
                heads[-1] += b"["
                end = b"],"
        self._heads, self._end = heads, b"}\n"

    def lines(self, shown: Shown) -> bytes:
        """The rows, each with its line break. Raises `InvalidInput` for a number that JSON has no
        word for."""
        parts: list[Iterable[bytes]] = []
        for head, column in zip(self._heads, self._columns, strict=True):
            values = column.get(shown)
            is_said = isinstance(values, Passages)
            parts += (repeat(head), self._said(values) if is_said else _plain(column, values))
        parts.append(repeat(self._end))
        self._encoded.forget()
        return b"".join(chain.from_iterable(zip(*parts)))  # noqa: B905  # heads do not end

    def _said(self, passages: Passages) -> list[bytes]:
        """Each as text. Rows of one node follow each other, and many of one run: what the row
        before says too is its text."""
        found = []
        last, text = None, b""
        for run, begin, end in zip(*passages, strict=True):
            messages = self._chat(run).messages(end)[begin:end]
            if messages != last:
                last, text = messages, b"".join(messages)[:-1]
            found.append(text)
        return found


def _plain(column: Column, values: list[Any]) -> list[bytes]:
    try:
        lines = _ENCODER.encode_lines(values)
    except UnicodeEncodeError:  # half of a surrogate pair
        lines = _ENCODER.encode_lines([_whole(value) for value in values])
    if b"null" in lines:  # which only a number that is none is written as
        for value in values:
            _refuse_infinite(column.name, value)
    return lines.split(b"\n")[:-1]  # a line break in a text is \\n there


class _Chat:
    """A run's messages, each as text with its comma, as far as they were asked for."""

    def __init__(self, run: Trajectory, encoded: _ByRole) -> None:
        self._steps, self._encoded = with_answers(run), encoded
        self._num_added = 0
        self._messages = [encoded[m.role][m.content] for m in run.prompt]

    def messages(self, end: int) -> list[bytes]:
        """Those that are known, at least up to the one before `end`."""
        if end > len(self._messages):
            self._add(end)
        return self._messages

    def _add(self, end: int) -> None:
        """Those up to the one before `end`, whole steps."""
        said, heard = self._encoded["assistant"], self._encoded["user"]
        while len(self._messages) < end:
            step = self._steps[self._num_added]
            self._num_added += 1
            if type(step) is Step and not step.tool_calls:
                self._messages += (said[step.response], heard[step.observation])
            else:
                self._messages += (_ENCODER.encode(record) + b"," for record in messages_of(step))


class _ByRole(dict[str, "_Encoded"]):
    """Messages as text, by role and content: runs of one task begin with the same ones."""

    def __missing__(self, role: str) -> _Encoded:
        self[role] = encoded = _Encoded(role)
        return encoded

    def forget(self) -> None:
        """What is held, where it is much."""
        if sum(encoded.size for encoded in self.values()) > _KEPT_BYTES:
            self.clear()


class _Encoded(dict[str, bytes]):
    """Of one role, each with its comma."""

    def __init__(self, role: str) -> None:
        self._role = role
        self.size = 0

    def __missing__(self, content: str) -> bytes:
        record = {"role": self._role, "content": whole(content)}
        self[content] = text = _ENCODER.encode(record) + b","
        self.size += len(text)
        return text


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
