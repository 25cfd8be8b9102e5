"""The records of a file, whatever it is: told by its first bytes, not by its name.

    {…}⏎{…}⏎          JSON lines                runs.jsonl:2
    {…} or [{…}, {…}]  one JSON text             runs.json, or runs.json: item 2
    PAR1 … / ARROW1 …  a table of Parquet, Arrow runs.parquet: row 2
    ff ff ff ff …      Arrow as datasets saves it data-00000-of-00001.arrow: row 2
    PK …               a zip of JSON texts       log.eval: samples/1_epoch_1.json (zipped)

All but zip may be packed with gzip or Zstandard, tables apart. Memory: one record of JSON lines,
a batch of rows, else the whole text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import Any

from w2stree.errors import InvalidInput, MissingDependency
from w2stree.formats.format import Located
from w2stree.formats.left_over import FIELD
from w2stree.formats.zipped import members
from w2stree.shorten import visible
from w2stree.trajectories.json_text import is_cut, parse_json
from w2stree.trajectories.lines import read_lines

_PARQUET, _ARROW, _ZIP = b"PAR1", b"ARROW1", b"PK\x03\x04"
_STREAM = b"\xff\xff\xff\xff"  # of Arrow: it has no name at its beginning
_END = _STREAM + bytes(4)
_POINTER = b"version https://git-lfs.github.com/"
_BOM = b"\xef\xbb\xbf"
_MAX_ROWS = 1_000  # a batch
_OFTEN_TEXT = ("messages", "conversations", "trajectory", "traj")


def records(file: Path) -> Iterator[Located]:
    """Each record of a file and its place.

    Raises `InvalidInput` naming the place for what is no JSON, damaged or too large;
    `MissingDependency` for a table without pyarrow; `OSError`.
    """
    begin = _begin(file)
    if begin == _POINTER:
        raise InvalidInput(
            f"{visible(str(file))}: no data but where they are: fetch them with git lfs pull"
        )
    if begin.startswith(_ZIP):
        return members(file)
    if begin.startswith((_PARQUET, _ARROW, _STREAM)):
        return _with_arrays(_of_table(file, begin))
    return _with_arrays(_of_text(file))


def is_binary(file: Path) -> bool:
    """Whether it is a table or a zip."""
    return _begin(file).startswith((_PARQUET, _ARROW, _STREAM, _ZIP))


def _begin(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(len(_POINTER))


def _with_arrays(located: Iterator[Located]) -> Iterator[Located]:
    """With messages that are JSON text read: tables of tool calls often have them so."""
    for where, record in located:
        if isinstance(record, dict):
            for name in _OFTEN_TEXT:
                if isinstance(text := record.get(name), str) and (array := _array(text)):
                    record[name] = array
        yield where, record


def _array(text: str) -> list[Any] | None:
    try:
        value = parse_json(text, "") if text.lstrip()[:1] == "[" else None
    except InvalidInput:
        return None
    return value if isinstance(value, list) else None


def _of_text(file: Path) -> Iterator[Located]:
    """JSON lines where the first line is an object; else the whole text is one value."""
    shown = visible(str(file))
    lines = ((n, line) for n, line in read_lines(file) if line.removeprefix(_BOM).strip())
    number, first = next(lines, (0, b""))
    if not number:
        return
    is_whole = first.removeprefix(_BOM).lstrip()[:1] != b"{" or (is_cut(first) and _goes_on(first))
    if not is_whole:
        for i, line in chain([(number, first)], lines):
            yield f"{shown}:{i}", parse_json(line, f"{shown}:{i}")
        return
    # Line breaks that were passed over are blanks between tokens: no place but theirs is lost.
    value = parse_json(first + b"".join(line for _, line in lines), shown)
    if isinstance(value, list):
        yield from ((f"{shown}: item {i + 1}", item) for i, item in enumerate(value))
    else:
        yield shown, value


def _goes_on(line: bytes) -> bool:
    """Whether the file has more than this line: else it was cut within it."""
    return line.endswith(b"\n")


def _of_table(file: Path, begin: bytes) -> Iterator[Located]:
    shown = visible(str(file))
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError:
        raise MissingDependency(f"{shown} needs pyarrow: pip install 'w2stree[arrow]'") from None
    number = 0
    try:
        for batch in _batches(pyarrow, file, begin):
            for row in batch.to_pylist():
                number += 1
                where = f"{shown}: row {number}"
                yield where, of_row(row) | _json_columns(row, batch.schema, where)
    except InvalidInput:
        raise
    except (pyarrow.ArrowException, ValueError, OverflowError, OSError) as error:
        raise InvalidInput(f"{shown}: cannot be read after row {number}: {error}") from None


def _batches(pyarrow: Any, file: Path, begin: bytes) -> Iterator[Any]:
    if begin.startswith(_PARQUET):
        with pyarrow.parquet.ParquetFile(file) as table:
            yield from table.iter_batches(batch_size=_MAX_ROWS)
        return
    with pyarrow.memory_map(str(file)) as source:
        if begin.startswith(_STREAM):
            with pyarrow.ipc.open_stream(source) as stream:
                yield from stream
            if (
                source.size() < len(_END)
                or source.read_at(len(_END), source.size() - len(_END)) != _END
            ):
                raise OSError("it ends before its table does")  # Arrow takes that for the end
            return
        with pyarrow.ipc.open_file(source) as table:
            for i in range(table.num_record_batches):
                yield table.get_batch(i)


def _json_columns(row: dict[str, Any], schema: Any, where: str) -> dict[str, Any]:
    """Columns of Arrow's JSON type, for what has no fixed one: their nulls are what they say."""
    return {
        column.name: parse_json(row[column.name], f"{where}: {visible(column.name)}")
        for column in schema
        if getattr(column.type, "extension_name", "") == "arrow.json"
        and row[column.name] is not None
    }


def of_row(row: Any) -> Any:
    """A record of a table's row: what is null there is absent, for a column is every row's; times
    and decimal numbers, which JSON does not know, are texts."""
    if isinstance(row, dict):
        return {k: of_row(v) for k, v in row.items() if v is not None}
    if isinstance(row, date | time):
        return row.isoformat()
    if isinstance(row, timedelta | Decimal):
        return str(row)
    return [of_row(value) for value in row] if isinstance(row, list) else row


def as_row(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record for a table, where what is of no fixed type (`left_over`) is JSON text, and an
    empty object, which Parquet has no type for, is absent."""
    left = record.get(FIELD)
    row = {name: value for name, value in record.items() if value != {}}
    return row | ({} if left is None else {FIELD: json.dumps(left)})
