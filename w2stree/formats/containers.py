"""The records of a file, whatever it is: told by its first bytes, not by its name.

    {…}⏎{…}⏎          JSON lines                runs.jsonl:2
    {…} or [{…}, {…}]  one JSON text             runs.json, or runs.json: item 2
    PAR1 … / ARROW1 …  a table of Parquet, Arrow runs.parquet: row 2
    ff ff ff ff …      Arrow as datasets saves it data-00000-of-00001.arrow: row 2
    PK …               a zip of JSON texts       log.eval: samples/1_epoch_1.json (zipped)

All but zip may be packed with gzip or Zstandard, tables apart. Memory: one record of JSON lines,
a batch of rows, else the whole text. What is no record can be left out (`skip`): a line, a row, a
member; of a file that is damaged the rest.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from w2stree.errors import InvalidInput, MissingDependency
from w2stree.formats.format import Located
from w2stree.formats.left_over import FIELD
from w2stree.formats.zipped import members
from w2stree.shorten import visible
from w2stree.trajectories.json_lines import LinesAhead
from w2stree.trajectories.json_text import parse_json
from w2stree.trajectories.lines import Skip, read_lines
from w2stree.trajectories.reading_limits import DEFAULT, ReadingLimits

_PARQUET, _ARROW, _ZIP = b"PAR1", b"ARROW1", b"PK\x03\x04"
_STREAM = b"\xff\xff\xff\xff"  # of Arrow: it has no name at its beginning
_END = _STREAM + bytes(4)
_MOST_SCHEMA = 1 << 24  # bytes; as a number, four letters are more
_POINTER = b"version https://git-lfs.github.com/"
_NEVER_EMPTY = (".json", ".traj", ".parquet", ".arrow", ".eval", ".gz", ".zst")
_OF_ONE = tuple(f"{s}{p}" for s in (".json", ".traj") for p in ("", ".gz", ".zst"))
"""Of files that are one value, on one line too; with a record on each of several they are lines."""
_MAX_ROWS = 1_000  # a batch
_OFTEN_TEXT = ("messages", "conversations", "trajectory", "traj")


def records(
    file: Path,
    *,
    limits: ReadingLimits = DEFAULT,
    skip: Skip | None = None,
    parse: Callable[[bytes, str], Any] = parse_json,
) -> Iterator[Located]:
    """Each record of a file and its place; `parse` makes it of a JSON text and where that stands.

    Raises `InvalidInput` naming the place for what is no JSON, damaged or too large, which with
    `skip` is left out; `MissingDependency` for a table without pyarrow; `OSError`.
    """
    begin = _begin(file)
    if not begin and file.name.lower().endswith(_NEVER_EMPTY):
        raise InvalidInput(
            f"{visible(str(file))}: empty, which no file of its kind is: copy it again"
        )
    if begin == _POINTER:
        raise InvalidInput(
            f"{visible(str(file))}: no data but where they are: fetch them with git lfs pull"
        )
    if begin.startswith(_ZIP):
        return members(file, limits=limits, skip=skip)
    if _is_table(begin):
        return _with_arrays(_of_table(file, begin, skip))
    return _with_arrays(_of_text(file, limits, skip, parse))


def is_binary(file: Path) -> bool:
    """Whether it is a table or a zip."""
    begin = _begin(file)
    return begin.startswith(_ZIP) or _is_table(begin)


def _is_table(begin: bytes) -> bool:
    return begin.startswith((_PARQUET, _ARROW)) or _is_stream(begin)


def _is_stream(begin: bytes) -> bool:
    """ff ff ff ff, the length of the schema, and where in it its root is: a torn line of text may
    begin with the first four too, and the lines after it count."""
    if not begin.startswith(_STREAM) or len(begin) < 12:
        return False
    length, root = (int.from_bytes(begin[i : i + 4], "little") for i in (4, 8))
    return 0 < root < length < _MOST_SCHEMA and length % 8 == 0


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


def _of_text(
    file: Path, limits: ReadingLimits, skip: Skip | None, parse: Callable[[bytes, str], Any]
) -> Iterator[Located]:
    """JSON lines where objects begin the first ones; else the whole text is one value."""
    shown = visible(str(file))
    lines = LinesAhead(read_lines(file, limits=limits, skip=skip))
    if lines.first() is None:
        return
    is_one = file.name.lower().endswith(_OF_ONE) and lines.num_ahead(2) == 1
    if not is_one and lines.hold_records() and not lines.is_first_spread():
        yield from lines.parsed(shown, parse, skip)
        return
    # Line breaks that were passed over are blanks between tokens: no place but theirs is lost.
    try:
        value = parse(_joined(lines, shown, limits), shown)
    except InvalidInput as error:
        if skip is None:
            raise
        skip(str(error))
        return
    if isinstance(value, list):
        yield from ((f"{shown}: item {i + 1}", item) for i, item in enumerate(value))
    else:
        yield shown, value


def _joined(lines: Iterable[tuple[int, bytes]], where: str, limits: ReadingLimits) -> bytes:
    pieces, size = [], 0
    for _, line in lines:
        pieces.append(line)
        size += len(line)
        if size > limits.json_bytes:
            raise InvalidInput(
                f"{where}: {limits.over('json_mib', 'one JSON text of more than {}')}"
            )
    return b"".join(pieces)


def _of_table(file: Path, begin: bytes, skip: Skip | None) -> Iterator[Located]:
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
                try:
                    record = of_row(row) | _json_columns(row, batch.schema, where)
                except InvalidInput as error:
                    if skip is None:
                        raise
                    skip(str(error))
                    continue
                yield where, record
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
