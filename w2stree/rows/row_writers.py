"""One table's file: JSON lines, packed or not, Parquet, or an Arrow stream. All of it or none."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Any, TypeAlias

from w2stree.errors import InvalidInput, MissingDependency
from w2stree.rows.arrow_rows import ArrowRows, arrow
from w2stree.rows.columns import Column, Shown
from w2stree.rows.json_rows import JsonRows
from w2stree.shorten import visible
from w2stree.trajectories.replacing import replacing

Write: TypeAlias = Callable[[Shown], None]

_FAST = 1  # of gzip: 5x the speed of the default at 10 % more bytes


def writing(
    path: Path, columns: Sequence[Column], *, has_tool_calls: bool
) -> AbstractContextManager[Write]:
    """A file of rows by its ending, in memory for one batch. It takes the place of `path` when the
    block ends, unless by an error.

    Raises `InvalidInput` for another ending, `MissingDependency` where one needs a package.
    """
    name = path.name.lower()
    for ending, kind in _KINDS.items():
        if name.endswith(ending):
            return kind(path, columns, has_tool_calls)
    known = ", ".join(_KINDS)
    raise InvalidInput(
        f"{visible(str(path))}: rows are written by the file's ending: {known}; or a folder's name "
        "with / at its end, for a data set of Hugging Face's"
    )


@contextmanager
def _json(path: Path, columns: Sequence[Column], has_tool_calls: bool) -> Iterator[Write]:
    with replacing(path, "wb") as file, _lines(columns, file) as write:
        yield write


@contextmanager
def _gzip(path: Path, columns: Sequence[Column], has_tool_calls: bool) -> Iterator[Write]:
    # Without a name and a time in it, so that equal rows are equal bytes.
    with (
        replacing(path, "wb") as file,
        gzip.GzipFile("", "wb", _FAST, file, mtime=0) as packed,
        _lines(columns, packed) as write,
    ):
        yield write


@contextmanager
def _zstandard(path: Path, columns: Sequence[Column], has_tool_calls: bool) -> Iterator[Write]:
    try:
        import zstandard
    except ModuleNotFoundError as error:
        raise MissingDependency(
            f"{visible(str(path))} needs {error.name}: pip install 'w2stree[zst]'"
        ) from None
    with (
        replacing(path, "wb") as file,
        zstandard.ZstdCompressor().stream_writer(file, closefd=False) as packed,
        _lines(columns, packed) as write,
    ):
        yield write


@contextmanager
def _parquet(path: Path, columns: Sequence[Column], has_tool_calls: bool) -> Iterator[Write]:
    arrow()
    import pyarrow.parquet as parquet

    rows = ArrowRows(columns, has_tool_calls=has_tool_calls, is_encoded=True)
    with (
        replacing(path, "wb") as file,
        # Without Arrow's own schema in it, the encoded texts are read as texts.
        parquet.ParquetWriter(file, rows.schema, store_schema=False) as writer,
    ):
        yield _batches(rows, writer.write_batch)
        if (rest := rows.take()) is not None:
            writer.write_batch(rest)


@contextmanager
def _stream(path: Path, columns: Sequence[Column], has_tool_calls: bool) -> Iterator[Write]:
    rows = ArrowRows(columns, has_tool_calls=has_tool_calls)
    with replacing(path, "wb") as file, arrow().ipc.new_stream(file, rows.schema) as writer:
        yield _batches(rows, writer.write_batch)
        if (rest := rows.take()) is not None:
            writer.write_batch(rest)


_KINDS: dict[str, Callable[[Path, Sequence[Column], bool], AbstractContextManager[Write]]] = {
    ".jsonl": _json,
    ".jsonl.gz": _gzip,
    ".jsonl.zst": _zstandard,
    ".parquet": _parquet,
    ".arrow": _stream,
}
ENDINGS = tuple(_KINDS)


@contextmanager
def _lines(columns: Sequence[Column], file: IO[bytes] | gzip.GzipFile) -> Iterator[Write]:
    rows = JsonRows(columns)

    def write(shown: Shown) -> None:
        file.write(rows.lines(shown))

    yield write


def _batches(rows: ArrowRows, write_batch: Callable[[Any], None]) -> Write:
    def write(shown: Shown) -> None:
        for batch in rows.add(shown):
            write_batch(batch)

    return write
