"""The records of a file, whatever it is: told by its first bytes, not by its name.

    {…}⏎{…}⏎          JSON lines                runs.jsonl:2
    {…} or [{…}, {…}]  one JSON text             runs.json, or runs.json: item 2
    PAR1 … / ARROW1 …  a table of Parquet, Arrow runs.parquet: row 2
    PK …               a zip of JSON texts       log.eval: samples/1_epoch_1.json (zipped)

All but zip may be packed with gzip or Zstandard, tables apart. Memory: one record of JSON lines,
a batch of rows, else the whole text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
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
_BOM = b"\xef\xbb\xbf"
_MAX_ROWS = 1_000  # a batch


def records(file: Path) -> Iterator[Located]:
    """Each record of a file and its place.

    Raises `InvalidInput` naming the place for what is no JSON, damaged or too large;
    `MissingDependency` for a table without pyarrow; `OSError`.
    """
    begin = _begin(file)
    if begin.startswith(_ZIP):
        return members(file)
    if begin.startswith((_PARQUET, _ARROW)):
        return _of_table(file, is_parquet=begin.startswith(_PARQUET))
    return _of_text(file)


def is_binary(file: Path) -> bool:
    """Whether it is a table or a zip."""
    return _begin(file).startswith((_PARQUET, _ARROW, _ZIP))


def _begin(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(len(_ARROW))


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


def _of_table(file: Path, *, is_parquet: bool) -> Iterator[Located]:
    shown = visible(str(file))
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError:
        raise MissingDependency(f"{shown} needs pyarrow: pip install 'w2stree[arrow]'") from None
    number = 0
    try:
        for batch in _batches(pyarrow, file, is_parquet=is_parquet):
            for row in batch.to_pylist():
                number += 1
                yield f"{shown}: row {number}", of_row(row)
    except (pyarrow.ArrowException, UnicodeDecodeError) as error:
        raise InvalidInput(f"{shown}: cannot be read after row {number}: {error}") from None


def _batches(pyarrow: Any, file: Path, *, is_parquet: bool) -> Iterator[Any]:
    if is_parquet:
        with pyarrow.parquet.ParquetFile(file) as table:
            yield from table.iter_batches(batch_size=_MAX_ROWS)
        return
    with pyarrow.memory_map(str(file)) as source, pyarrow.ipc.open_file(source) as table:
        for i in range(table.num_record_batches):
            yield table.get_batch(i)


def of_row(row: Any) -> Any:
    """A record of a table's row: what is null there is absent, for a column is every row's."""
    if isinstance(row, dict):
        return {k: of_row(v) for k, v in row.items() if v is not None}
    return [of_row(value) for value in row] if isinstance(row, list) else row


def as_row(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record for a table, where what is of no fixed type (`left_over`) is JSON text, and an
    empty object, which Parquet has no type for, is absent."""
    left = record.get(FIELD)
    row = {name: value for name, value in record.items() if value != {}}
    return row | ({} if left is None else {FIELD: json.dumps(left)})
