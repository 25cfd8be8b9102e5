"""A piece of the input sorted by bucket, and a bucket put together from all pieces.

piece-000012.rows   a section for every 48 MiB of rows (`w2stree.scale.section`)
piece-000012.json   {"ends": [8123456], "low": 0.0, "high": 1.0, …}   written last: it is done
sections.json       [[0, [8123456]], …]             where the sections of all pieces end

One file a piece, however many buckets there are. Each is written under a hidden name and renamed,
so that a task which is tried again, or twice at once, leaves one whole file, and always the same.
Where a bucket's rows are stands in the file beside them: nobody holds it for all.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from w2stree.scale.plan import Piece
from w2stree.scale.section import has_rows, read_fragment, write_section
from w2stree.scale.tables import bucket_column
from w2stree.shorten import visible
from w2stree.trajectories.replacing import replacing
from w2stree.trajectories.table_rows import SOURCE, conformed, wide_schema
from w2stree.trajectories.tables import damage_told, pyarrow_for

FORMAT = 2
"""Of a piece's files. A folder with others is not gone on with."""

_SECTIONS = "sections.json"


@dataclass(frozen=True, slots=True)
class SortedPiece:
    """Where the sections of its file end; the least and the greatest return of its runs, error
    rows aside, None where all are error rows."""

    number: int
    num_rows: int
    ends: list[int]
    low: float | None
    high: float | None


def sort_piece(work: str, piece: Piece, num_buckets: int) -> None:
    """Writes the piece's two files, unless they are there. Memory: the rows of a section three
    times, the greatest fragment twice, and the columns of a row group, packed. Raises
    `InvalidInput` for a damaged file."""
    folder = Path(work)
    if is_sorted(folder, piece):
        return
    pa, _ = pyarrow_for(piece.file)
    num_rows, ends = 0, []
    lows, highs = [], []
    with replacing(_data(folder, piece.number), "wb") as file:
        for table in _batches(pa, piece):
            buckets = bucket_column(pa, table.column("task_id"), num_buckets).to_numpy()
            write_section(pa, file, table, buckets, num_buckets)
            ends.append(file.tell())
            returns = _returns(table)
            num_rows += table.num_rows
            lows += [float(returns.min())] if returns.size else []
            highs += [float(returns.max())] if returns.size else []
    found = SortedPiece(
        piece.number, num_rows, ends, min(lows, default=None), max(highs, default=None)
    )
    with replacing(_record(folder, piece.number)) as record:
        record.write(json.dumps(asdict(found)))


def sorted_pieces(work: Path, pieces: Sequence[Piece]) -> list[SortedPiece]:
    """What became of them; all are done."""
    return [
        SortedPiece(**json.loads(_record(work, piece.number).read_text(encoding="utf-8")))
        for piece in pieces
    ]


def is_sorted(work: Path, piece: Piece) -> bool:
    return _record(work, piece.number).is_file()


def filled_buckets(work: Path, pieces: Sequence[SortedPiece], num_buckets: int) -> list[int]:
    """Those that have rows, in order. Reads 8 bytes a bucket of each section."""
    found = np.zeros(num_buckets, np.bool_)
    for piece in pieces:
        with _data(work, piece.number).open("rb") as file:
            for end in piece.ends:
                found |= has_rows(file, end, num_buckets)
    return [int(bucket) for bucket in np.flatnonzero(found)]


def keep_sections(work: Path, pieces: Sequence[SortedPiece]) -> None:
    """For the calls that make buckets, which read it: handed to each, it would pass through the
    driver once a bucket, and buckets and sections grow together."""
    with replacing(work / _SECTIONS) as file:
        file.write(json.dumps([(piece.number, piece.ends) for piece in pieces]))


def kept_sections(work: Path) -> Sections:
    """Of all pieces, as `keep_sections` wrote them down."""
    found: Sections = json.loads((work / _SECTIONS).read_text(encoding="utf-8"))
    return found


def bucket_table(work: Path, sections: Sections, bucket: int, num_buckets: int) -> Any:
    """The rows of a bucket, in the order of the input. Memory: the bucket. Reads its rows alone."""
    pa, _ = pyarrow_for(work)
    schema = _sorted_schema(pa)
    found = []
    for number, ends in sections:
        path = _data(work, number)
        with damage_told(pa, path), path.open("rb") as file:
            fragments = (read_fragment(pa, file, end, bucket, num_buckets, schema) for end in ends)
            found += [fragment for fragment in fragments if fragment is not None]
    return pa.Table.from_batches(found, schema)


Sections = Sequence[tuple[int, Sequence[int]]]
"""The numbers of pieces, in order, and where the sections of each end."""


def _sorted_schema(pa: Any) -> Any:
    return wide_schema(pa).append(pa.field(SOURCE, pa.large_string(), nullable=False))


def _batches(pa: Any, piece: Piece) -> Iterator[Any]:
    """Its rows, each with where it stands."""
    _, pq = pyarrow_for(piece.file)
    path, row = Path(piece.file), piece.first_row
    with damage_told(pa, path), pq.ParquetFile(path, pre_buffer=False) as opened:
        for batch in opened.iter_batches(piece.rows_at_once, row_groups=list(piece.groups)):
            if not batch.num_rows:
                continue
            places = [f"{visible(piece.file)}: row {row + i}" for i in range(batch.num_rows)]
            row += batch.num_rows
            table = pa.Table.from_batches([batch])
            yield conformed(table.append_column(SOURCE, pa.array(places, pa.large_string())))


def _returns(table: Any) -> Any:
    is_error = np.array([status == "error" for status in table.column("status").to_pylist()])
    return table.column("total_return").to_numpy()[~is_error]


def _data(work: Path, number: int) -> Path:
    return work / f"piece-{number:06}.rows"


def _record(work: Path, number: int) -> Path:
    return work / f"piece-{number:06}.json"
