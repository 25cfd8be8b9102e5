"""Rows as Arrow batches. A batch has each text of a message once; the rows are indices into them
(`batch_messages`).

`MissingDependency` where pyarrow is not installed: it is the one thing that these need.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, TypeAlias

import numpy as np

from w2stree.errors import MissingDependency
from w2stree.rows.batch_messages import BatchMessages, BatchRuns, Ints, Numbered
from w2stree.rows.chat import Passages, whole
from w2stree.rows.columns import Column, Shown, Type

_BATCH_SIZE = 32 << 20  # characters, repeated ones counted as often: a row group of Parquet
_SIZE_OF_NUMBER = 8  # in characters, of one in a list: token ids, masks
_BATCH_ROWS = 1 << 16


def arrow() -> Any:
    """The module pyarrow."""
    try:
        import pyarrow
    except ModuleNotFoundError as error:
        raise MissingDependency(
            f"rows as Parquet or Arrow need {error.name}: pip install 'w2stree[arrow]'; JSON lines "
            "(.jsonl, .jsonl.gz) need nothing"
        ) from None
    return pyarrow


_Field: TypeAlias = "tuple[Ints, Any]"
"""Of each message the number of its value, and the values."""


class ArrowRows:
    """One table's schema, and its rows, collected into batches."""

    def __init__(
        self, columns: Sequence[Column], *, has_tool_calls: bool, is_encoded: bool = False
    ) -> None:
        """`is_encoded`: roles and contents are dictionary arrays, which Parquet writes as they are
        and reads as texts."""
        self._pa = arrow()
        self._said = self._pa.string()
        if is_encoded:
            self._said = self._pa.dictionary(self._pa.int32(), self._said)
        self._columns = columns
        self._has_tool_calls = has_tool_calls
        self.schema = self._pa.schema([(c.name, self._type(c.type)) for c in columns])
        self._begin()

    def _begin(self) -> None:
        self._runs = BatchRuns()
        self._values: list[list[Any]] = [[] for _ in self._columns]
        self._num_rows = self._size = 0

    def add(self, shown: Shown) -> Iterator[Any]:
        """Collect rows. Gives each batch that they fill, as a `pyarrow.RecordBatch`."""
        given = [column.get(shown) for column in self._columns]
        num_added, num_rows = 0, len(shown.rows)
        while num_added < num_rows:
            num_added += self._collect(given, num_added, num_rows - num_added)
            if self._size >= _BATCH_SIZE or self._num_rows >= _BATCH_ROWS:
                yield self.take()

    def _collect(self, given: list[Any], begin: int, num_rows: int) -> int:
        """As many of the rows from `begin` on as there is room for; their number."""
        of_rows = iter(self._runs.numbered([g for g in given if isinstance(g, Passages)]))
        rest = [
            Numbered(*(c[begin:] for c in next(of_rows))) if isinstance(g, Passages) else g[begin:]
            for g in given
        ]
        sizes = np.zeros(num_rows, np.int64)
        for column, values in zip(self._columns, rest, strict=True):
            if isinstance(values, Numbered):
                sizes += self._runs.num_characters(values)
            elif column.type in ("integers", "numbers"):
                sizes += _SIZE_OF_NUMBER * np.fromiter(map(len, values), np.int64, num_rows)
        sizes = np.cumsum(sizes)
        room = int(np.searchsorted(sizes, _BATCH_SIZE - self._size)) + 1
        number = min(room, _BATCH_ROWS - self._num_rows, num_rows)
        for collected, values in zip(self._values, rest, strict=True):
            if isinstance(values, Numbered):
                collected.append(Numbered(*(column[:number] for column in values)))
            else:
                collected += values[:number]
        self._num_rows += number
        self._size += int(sizes[number - 1])
        return number

    def take(self) -> Any:
        """What was collected, as a `pyarrow.RecordBatch`; None for no rows."""
        if not self._num_rows:
            return None
        of_rows = [_joined(v) if isinstance(v[0], Numbered) else None for v in self._values]
        messages = BatchMessages(self._runs, filter(None, of_rows))
        fields = self._message_fields(messages)
        arrays = [
            self._array(column, values)
            if of is None
            else self._said_in(column, *messages.ids(of), fields)
            for column, values, of in zip(self._columns, self._values, of_rows, strict=True)
        ]
        self._begin()
        return self._pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _type(self, of: Type) -> Any:
        pa = self._pa
        if isinstance(of, Mapping):
            return pa.struct([(name, self._type(inner)) for name, inner in of.items()])
        plain: dict[str, Callable[[], Any]] = {
            "messages": lambda: pa.list_(self._message_type()),
            "message": self._message_type,
            "text": pa.string,
            "texts": lambda: pa.list_(pa.string()),
            "integer": pa.int64,
            "integers": lambda: pa.list_(pa.int32()),
            "number": pa.float64,
            "numbers": lambda: pa.list_(pa.float64()),
            "truth": pa.bool_,
        }
        return plain[of]()

    def _message_type(self) -> Any:
        pa = self._pa
        fields = [("role", self._said), ("content", self._said)]
        if self._has_tool_calls:
            function = pa.struct([("name", pa.string()), ("arguments", pa.string())])
            call = pa.struct([("id", pa.string()), ("type", pa.string()), ("function", function)])
            fields += [
                ("tool_calls", pa.list_(call)),
                ("tool_call_id", pa.string()),
                ("name", pa.string()),
            ]
        return pa.struct(fields)

    def _array(self, column: Column, values: list[Any]) -> Any:
        pa = self._pa
        if column.type == "integers":
            offsets = np.zeros(len(values) + 1, np.int32)
            np.cumsum([len(v) for v in values], out=offsets[1:])
            flat = np.fromiter(chain.from_iterable(values), np.int32, int(offsets[-1]))
            return pa.ListArray.from_arrays(pa.array(offsets), pa.array(flat))
        if column.type == "text":
            values = [whole(text) for text in values]
        elif column.type == "texts":
            values = [[whole(text) for text in texts] for texts in values]
        elif isinstance(column.type, Mapping):
            values = [
                {k: whole(v) if isinstance(v, str) else v for k, v in value.items()}
                for value in values
            ]
        return pa.array(values, self._type(column.type))

    def _message_fields(self, messages: BatchMessages) -> list[_Field]:
        """The fields of all messages; a text that several say is there once."""
        pa = self._pa
        roles, contents = messages.roles(), messages.contents()
        found: list[_Field] = [
            (codes, pa.array(texts, pa.string())) for codes, texts in (roles, contents)
        ]
        if self._has_tool_calls:
            records = messages.records()
            for field in list(self._message_type())[2:]:
                values = pa.array([record.get(field.name) for record in records], field.type)
                found.append((np.arange(len(records)), values))
        return found

    def _said_in(self, column: Column, ids: Ints, offsets: Any, fields: list[_Field]) -> Any:
        """The structures of these messages, a list of them a row, or one a row."""
        pa = self._pa
        types = list(self._message_type())
        arrays = [
            pa.DictionaryArray.from_arrays(codes[ids].astype(np.int32), values)
            if pa.types.is_dictionary(field.type)
            else values.take(pa.array(codes[ids]))
            for field, (codes, values) in zip(types, fields, strict=True)
        ]
        messages = pa.StructArray.from_arrays(arrays, fields=types)
        if column.type == "message":
            return messages
        return pa.ListArray.from_arrays(pa.array(offsets), messages)


def _joined(blocks: list[Numbered]) -> Numbered:
    return Numbered(*map(np.concatenate, zip(*blocks, strict=True)))
