"""Rows as Arrow batches. A batch has each message once; the rows are indices into them.

    distinct messages   0 system   1 user   2 assistant …     role, content: two columns of texts
    run                 0 1 2 3 4 5                            ids, made once a batch
    prompts             0 1 2 3 │ 0 1 2 3 4 5 │ …              ids by row ──take──> list<struct>

`MissingDependency` where pyarrow is not installed: it is the one thing that these need.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from itertools import chain, islice
from typing import Any, TypeAlias

import numpy as np

from w2stree.errors import MissingDependency
from w2stree.rows.chat import Passage, Record, messages_of, whole
from w2stree.rows.columns import Column, Shown, Type
from w2stree.rows.once import OncePerRun
from w2stree.trajectories.trajectory import Trajectory

_BATCH_CHARACTERS = 32 << 20  # of texts, repeated ones counted as often: a row group of Parquet
_BATCH_ROWS = 1 << 16

Ids: TypeAlias = "array[int]"
"""Numbers of messages, four bytes each."""


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
        self._get = [column.get for column in columns]
        self._is_passage = [column.type in ("messages", "message") for column in columns]
        self._has_tool_calls = has_tool_calls
        self.schema = self._pa.schema([(c.name, self._type(c.type)) for c in columns])
        self._begin()

    def _begin(self) -> None:
        self._messages = _Messages()
        self._values: list[list[Any]] = [[] for _ in self._columns]
        self._num_rows = 0

    def add(self, shown: Shown) -> None:
        for get, is_passage, values in zip(self._get, self._is_passage, self._values, strict=True):
            value = get(shown)
            values.append(self._messages.ids(value) if is_passage else value)
        self._num_rows += 1

    @property
    def is_full(self) -> bool:
        return self._num_rows >= _BATCH_ROWS or self._messages.num_characters >= _BATCH_CHARACTERS

    def take(self) -> Any:
        """What was collected, as a `pyarrow.RecordBatch`; None for no rows."""
        if not self._num_rows:
            return None
        messages = self._message_columns()
        arrays = [
            self._array(column, values, messages)
            for column, values in zip(self._columns, self._values, strict=True)
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

    def _array(self, column: Column, values: list[Any], messages: list[Any]) -> Any:
        pa = self._pa
        if column.type == "message":
            return self._taken(values, messages)
        if column.type == "messages":
            offsets = np.zeros(len(values) + 1, np.int32)
            np.cumsum([len(ids) for ids in values], out=offsets[1:])
            return pa.ListArray.from_arrays(pa.array(offsets), self._taken(values, messages))
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

    def _message_columns(self) -> list[Any]:
        """The messages, column by column; of encoded texts equal ones are one."""
        pa, records = self._pa, self._messages.records
        columns = []
        for field in self._message_type():
            values = [record.get(field.name) for record in records]
            is_encoded = pa.types.is_dictionary(field.type)
            columns.append(
                pa.array(values).dictionary_encode() if is_encoded else pa.array(values, field.type)
            )
        return columns

    def _taken(self, ids: list[Ids], messages: list[Any]) -> Any:
        """The structures of these messages, one after the other."""
        pa = self._pa
        chosen = pa.array(np.frombuffer(b"".join(ids), np.int32))
        columns = [column.take(chosen) for column in messages]
        return pa.StructArray.from_arrays(columns, fields=list(self._message_type()))


class _Messages:
    """The messages of a batch, each of a run's once, and how much text its rows hold."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.num_characters = 0
        self._chat = OncePerRun(_Chat)

    def ids(self, passage: Passage) -> Ids:
        run, begin, end = passage
        chat = self._chat(run)
        if end > len(chat.ids):
            for record in islice(chat.pending, end - len(chat.ids)):
                chat.ids.append(len(self.records))
                chat.before.append(chat.before[-1] + len(record["content"]))
                self.records.append(record)
        self.num_characters += chat.before[end] - chat.before[begin]
        return chat.ids[begin:end]


class _Chat:
    """The numbers of a run's messages, as far as they were asked for."""

    def __init__(self, run: Trajectory) -> None:
        self.pending = messages_of(run)
        self.ids = array("i")
        self.before = [0]
        """Characters before each message."""
