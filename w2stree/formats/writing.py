"""Trajectories to a file, as some tool writes runs.

a.jsonl  a.ndjson  a.jsonl.gz   a record a line
a.json                          one array
a.parquet                       a table, a record a row (pyarrow)
"""

from __future__ import annotations

import gzip
import io
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from w2stree.errors import InvalidInput, MissingDependency
from w2stree.formats import own
from w2stree.formats.containers import as_row, of_row
from w2stree.formats.format import Format
from w2stree.formats.reader import Reader
from w2stree.formats.reading import AUTO, format_of
from w2stree.shorten import visible
from w2stree.trajectories.files import write_trajectories as write_own
from w2stree.trajectories.folder import PACKED
from w2stree.trajectories.replacing import replacing
from w2stree.trajectories.tables import write_table
from w2stree.trajectories.trajectory import Trajectory

LINES = (".jsonl", ".ndjson")

# What promises another container: plain lines under such a name are read by nobody else.
_NO_LINES = (".json", ".parquet", ".journal", ".arrow", ".feather", ".csv", ".eval", *PACKED)


def write_trajectories(
    path: str | os.PathLike[str],
    trajectories: Iterable[Trajectory],
    *,
    format: str = "w2stree",
) -> None:
    """Write runs in a format, all or nothing; its suffix says in which container.

    `read_trajectories` reads back equal what was written; what a format has no place for stands in
    the records' field `w2stree`. Raises `InvalidInput` for a format that is read only, for an
    unknown suffix (of our own format's for one that promises another container; under any other
    name it is lines), and naming the run that a format cannot hold; `TypeError` for anything but
    trajectories; `MissingDependency` for a table without pyarrow; `OSError`.
    """
    file, known = Path(path), None if format == AUTO else format_of(format)
    if known is not None and known.write is not None:
        known.write(file, _checked(trajectories))
        return
    if known is None or known.record_of is None:
        raise InvalidInput(f"format {visible(format)} cannot be written; use another, as w2stree")
    name = file.name.lower()
    if known is own.FORMAT and not name.endswith(_NO_LINES):
        write_own(file, trajectories)
        return
    if known is own.FORMAT and name.endswith(".parquet"):
        write_table(file, trajectories)
        return
    if name.endswith(".parquet"):
        _write_table(file, known, list(_checked(trajectories)))
        return
    records = (known.record_of(trajectory) for trajectory in _checked(trajectories))
    if name.endswith(LINES):
        _write_text(file, (_line(record) for record in records))
    elif name.endswith(tuple(f"{suffix}.gz" for suffix in LINES)):
        _write_packed(file, (_line(record) for record in records))
    elif name.endswith(".json"):
        _write_text(file, [json.dumps(list(records), ensure_ascii=True, allow_nan=False) + "\n"])
    else:
        raise InvalidInput(
            f"{visible(str(file))}: not known by its suffix; use .jsonl, .jsonl.gz, .json or "
            ".parquet"
        )


def _checked(trajectories: Iterable[Trajectory]) -> Iterator[Trajectory]:
    for i, trajectory in enumerate(trajectories):
        if not isinstance(trajectory, Trajectory):
            kind = type(trajectory).__name__
            raise TypeError(f"trajectories[{i}] is {kind}; expected Trajectory")
        yield trajectory


def _line(record: Any) -> str:
    """ASCII: halves of surrogate pairs have no UTF-8."""
    return json.dumps(record, ensure_ascii=True, separators=(",", ":"), allow_nan=False) + "\n"


def _write_text(path: Path, texts: Iterable[str]) -> None:
    with replacing(path) as file:
        file.writelines(texts)


def _write_packed(path: Path, texts: Iterable[str]) -> None:
    """The same bytes every time: no name and no time in the packed file."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0, filename="") as file:
        for text in texts:
            file.write(text.encode("ascii"))
    with replacing(path, "wb") as opened:
        opened.write(packed.getvalue())


def _write_table(path: Path, known: Format, trajectories: list[Trajectory]) -> None:
    """Rows of a table have one type, and what one row has the others have as nulls: so each is
    read back before it is written down."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError:
        raise MissingDependency(
            f"{visible(str(path))} needs pyarrow: pip install 'w2stree[arrow]'"
        ) from None
    assert known.record_of is not None
    rows = [as_row(known.record_of(trajectory)) for trajectory in trajectories]
    names = dict.fromkeys(name for row in rows for name in row)
    rows = [{name: row.get(name) for name in names} for row in rows]  # pyarrow asks the first
    sink = io.BytesIO()
    try:
        pyarrow.parquet.write_table(table := pyarrow.Table.from_pylist(rows), sink)
    except (pyarrow.ArrowException, UnicodeEncodeError) as error:
        raise InvalidInput(
            f"{visible(str(path))}: the records do not fit one table ({error}); write .jsonl"
        ) from None
    for trajectory, row in zip(trajectories, table.to_pylist(), strict=True):
        where = f"task {trajectory.task_id!r}"
        if [trajectory] != list(known.runs(of_row(row), where, Reader())):
            raise InvalidInput(
                f"{where}: a table would change it (its info has nulls, or numbers where other "
                "runs have other numbers or texts); write .jsonl"
            )
    with replacing(path, "wb") as opened:
        opened.write(sink.getvalue())
