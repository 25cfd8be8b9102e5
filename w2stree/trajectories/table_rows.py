"""Tables of trajectories that are in memory: a row a trajectory, the columns of `tables.schema`.

    pyarrow, Ray Data, Spark, Dask, Daft        string │ large_string │ dictionary, nulls allowed
        └─ conformed ──> large_string, large_list, no nulls ──> Records, as those of a file

Offsets of 64 bits: the texts of one shard may be more than 2 GiB, which `string` cannot count.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2stree.errors import InvalidInput
from w2stree.shorten import visible
from w2stree.trajectories.records_read import RecordsRead
from w2stree.trajectories.repeats import Repeats
from w2stree.trajectories.table_columns import records_in
from w2stree.trajectories.tables import pyarrow_for, schema, trajectory_of
from w2stree.trajectories.trajectory import Trajectory

_MADE_AT_ONCE = 256
SOURCE = "source"
"""A column of texts beside the trajectory's: where it stands, for whoever reads rows of it."""


def wide_schema(pa: Any) -> Any:
    """The columns of a trajectory with offsets of 64 bits: `large_string`, `large_list`."""
    return widened(pa, schema(pa))


def widened(pa: Any, columns: Any) -> Any:
    """A schema with `large_string` for each `string` and `large_list` for each `list`."""
    return pa.schema([field.with_type(_wide(pa, field.type)) for field in columns])


def conformed(table: Any) -> Any:
    """The table with the columns of a trajectory as `wide_schema` has them, and `source` where it
    has one; other columns are left out.

    Text may be of any of Arrow's kinds, numbers of any width, and columns may allow nulls. Raises
    `InvalidInput` naming the column that is not there, has nulls or is of another type; `TypeError`
    for what is no `pyarrow.Table` and no `pyarrow.RecordBatch`. Columns that fit are not copied.
    """
    pa, _ = pyarrow_for("a table of trajectories")
    if isinstance(table, pa.RecordBatch):
        table = pa.Table.from_batches([table])
    if not isinstance(table, pa.Table):
        raise TypeError(f"table is {type(table).__name__}; expected pyarrow.Table or RecordBatch")
    wanted = wide_schema(pa)
    if SOURCE in table.column_names:
        wanted = wanted.append(pa.field(SOURCE, pa.large_string(), nullable=False))
    columns = []
    for field in wanted:
        if table.column_names.count(field.name) != 1:
            raise InvalidInput(
                f"table: column {field.name} is not there once; it needs "
                f"{', '.join(wide_schema(pa).names)} (docs/columns.md)"
            )
        chunks = [_as(pa, chunk, field, field.name) for chunk in table.column(field.name).chunks]
        columns.append(pa.chunked_array(chunks, field.type))
    return pa.Table.from_arrays(columns, schema=wanted)


def read_table(table: Any, repeats: Repeats) -> RecordsRead[RowPlaces]:
    """The trajectories of a table and where each stands, those that are in it twice once
    (`Repeats`, which has to be new). Raises as `conformed`, and as `table_columns.read_tables` for
    what a row holds. Memory: the table, ids of 8 bytes a step, and each text of an action or an
    observation once. O(bytes)."""
    pa, _ = pyarrow_for("a table of trajectories")
    rows = TableRows(conformed(table))
    places = RowPlaces(rows.sources, np.arange(rows.num_rows))
    read = records_in(pa, rows, rows.all_batches, places, repeats)
    assert read is not None  # without limits
    return read


class TableRows:
    """A conformed table as a source of `Records`."""

    __slots__ = ("_table", "all_batches", "num_rows")

    def __init__(self, table: Any) -> None:
        self._table = table
        self.num_rows: int = table.num_rows
        self.all_batches: list[Any] = table.to_batches()

    @property
    def sources(self) -> Any:
        return self._table.column(SOURCE) if SOURCE in self._table.column_names else None

    def trajectories(self, rows: Sequence[int]) -> Iterator[Trajectory]:
        begin = 0
        while begin < len(rows):
            end = begin + 1
            while end < min(len(rows), begin + _MADE_AT_ONCE) and rows[end] == rows[end - 1] + 1:
                end += 1
            made = self._table.slice(rows[begin], end - begin).to_pylist()
            for row, record in zip(rows[begin:end], made, strict=True):
                where = record.pop(SOURCE, None)
                yield trajectory_of(record, where or f"row {row + 1}")
            begin = end

    def is_copy(self, one: int, other: int) -> bool:
        names = [name for name in self._table.column_names if name != SOURCE]
        rows = self._table.select(names)
        return bool(rows.slice(one, 1).equals(rows.slice(other, 1)))

    def batches(self, *columns: str) -> Iterator[Any]:
        """All columns: none of them has to be read."""
        return iter(self.all_batches)

    @property
    def num_bytes(self) -> int:
        return int(self._table.nbytes)


class RowPlaces(Sequence[str]):
    """Of each row of a table: its `source`, or its number."""

    __slots__ = ("_rows", "_sources")

    def __init__(self, sources: Any, rows: NDArray[np.int64]) -> None:
        self._sources, self._rows = sources, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        row = int(self._rows[index])
        return f"row {row + 1}" if self._sources is None else self._sources[row].as_py()

    @property
    def are_named(self) -> bool:
        """Whether the table says where its rows stand."""
        return self._sources is not None

    def select(self, is_kept: NDArray[np.bool_]) -> RowPlaces:
        return RowPlaces(self._sources, self._rows[is_kept])


def _wide(pa: Any, kind: Any) -> Any:
    if pa.types.is_string(kind):
        return pa.large_string()
    if pa.types.is_list(kind):
        element = kind.value_field
        return pa.large_list(element.with_type(_wide(pa, element.type)))
    if pa.types.is_struct(kind):
        fields = [kind.field(i) for i in range(kind.num_fields)]
        return pa.struct([field.with_type(_wide(pa, field.type)) for field in fields])
    return kind


def narrow(table: Any) -> Any:
    """A conformed table as `tables.schema` has it, for a file: one of fewer than 2 GiB of texts."""
    pa, _ = pyarrow_for("a table of trajectories")
    wanted = schema(pa)
    columns = [
        pa.chunked_array([_as(pa, c, f, f.name) for c in table.column(f.name).chunks], f.type)
        for f in wanted
    ]
    return pa.Table.from_arrays(columns, schema=wanted)


def _as(pa: Any, array: Any, field: Any, name: str) -> Any:
    """An array as this field's type. `name` is its place, for errors."""
    kind, wanted = array.type, field.type
    if not field.nullable and array.null_count:
        raise InvalidInput(f"table: column {name} has {array.null_count:,} nulls; fill them")
    if kind == wanted:
        return array
    if pa.types.is_null(kind):
        return pa.nulls(len(array), wanted)
    if pa.types.is_dictionary(kind):
        return _as(pa, array.dictionary_decode(), field, name)
    if _is_list(pa, wanted) and _is_list(pa, kind):
        return _as_list(pa, array, wanted, name)
    if pa.types.is_struct(wanted) and pa.types.is_struct(kind):
        return _as_struct(pa, array, wanted, name)
    try:
        return array.cast(wanted)
    except (pa.ArrowException, NotImplementedError) as error:
        reason = visible(" ".join(str(error).split()))
        raise InvalidInput(
            f"table: column {name} is {visible(str(kind))}, where a trajectory has "
            f"{visible(str(wanted))}: {reason}"
        ) from None


def _is_list(pa: Any, kind: Any) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def _as_list(pa: Any, array: Any, wanted: Any, name: str) -> Any:
    lengths = array.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    offsets = np.zeros(len(array) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    values = _as(pa, array.flatten(), wanted.value_field, f"{name}[]")
    is_large = pa.types.is_large_list(wanted)
    make = pa.LargeListArray if is_large else pa.ListArray
    if not is_large:
        if offsets[-1] >= 2**31:
            raise InvalidInput(f"table: column {name} has 2**31 elements or more in one piece")
        offsets = offsets.astype(np.int32)
    mask = array.is_null() if array.null_count else None
    return make.from_arrays(pa.array(offsets), values, type=wanted, mask=mask)


def _as_struct(pa: Any, array: Any, wanted: Any, name: str) -> Any:
    fields = [wanted.field(i) for i in range(wanted.num_fields)]
    given = {array.type.field(i).name: i for i in range(array.type.num_fields)}
    columns = []
    for field in fields:
        if field.name not in given:
            raise InvalidInput(f"table: column {name} has no field {field.name}")
        column = array.field(given[field.name])
        columns.append(_as(pa, column, field, f"{name}.{field.name}"))
    mask = array.is_null() if array.null_count else None
    return pa.StructArray.from_arrays(columns, fields=fields, mask=mask)
