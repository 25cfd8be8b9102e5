"""A piece of the input sorted by bucket, and a bucket put together from all pieces.

piece-000012.arrow   batches: bucket 0 │ 2 │ 3 │ 0 │ 2 │ …      of 8 MiB of rows each
piece-000012.json    {"batches": {"0": [0, 3], "2": [1, 4], …}, "low": 0.0, "high": 1.0}
                     written last: the piece is done

One file a piece, however many buckets there are. Each is written under a hidden name and renamed,
so that a task which is tried again, or twice at once, leaves one whole file, and always the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from w2stree.scale.plan import Piece
from w2stree.scale.tables import bucket_column
from w2stree.shorten import visible
from w2stree.trajectories.replacing import replacing
from w2stree.trajectories.table_rows import SOURCE, conformed, wide_schema
from w2stree.trajectories.tables import damage_told, pyarrow_for


@dataclass(frozen=True, slots=True)
class SortedPiece:
    """Which batches of its file each bucket has; the least and the greatest return of its runs,
    error rows aside, None where all are error rows."""

    number: int
    num_rows: int
    batches: dict[str, list[int]]
    low: float | None
    high: float | None


def sort_piece(work: str, piece: Piece, num_buckets: int) -> None:
    """Writes the piece's two files, unless they are there. Memory: one batch twice, and the
    columns of a row group, packed. Raises `InvalidInput` for a damaged file."""
    folder = Path(work)
    if _record(folder, piece.number).is_file():
        return
    pa, _ = pyarrow_for(piece.file)
    wanted = wide_schema(pa).append(pa.field(SOURCE, pa.large_string(), nullable=False))
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    batches: dict[str, list[int]] = {}
    num_rows = count = 0
    lows, highs = [], []
    with (
        replacing(_data(folder, piece.number), "wb") as file,
        pa.ipc.new_file(file, wanted, options=options) as writer,
    ):
        for table in _batches(pa, piece):
            buckets = bucket_column(pa, table.column("task_id"), num_buckets).to_numpy()
            order = np.argsort(buckets, kind="stable")  # runs of a task stay in their order
            bounds = np.flatnonzero(np.diff(buckets[order], prepend=-1))
            ordered = table.take(pa.array(order)).combine_chunks().to_batches()[0]
            for begin, end in zip(bounds.tolist(), [*bounds[1:].tolist(), len(order)], strict=True):
                writer.write_batch(ordered.slice(begin, end - begin))
                batches.setdefault(str(buckets[order[begin]]), []).append(count)
                count += 1
            returns = _returns(table)
            num_rows += table.num_rows
            lows += [float(returns.min())] if returns.size else []
            highs += [float(returns.max())] if returns.size else []
    found = SortedPiece(
        piece.number, num_rows, batches, min(lows, default=None), max(highs, default=None)
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


def bucket_table(work: Path, parts: Iterable[tuple[int, Sequence[int]]]) -> Any:
    """The rows of a bucket, in the order of the input: of each piece its batches. Memory: the
    bucket."""
    pa, _ = pyarrow_for(work)
    found = []
    for number, batches in parts:
        path = _data(work, number)
        with damage_told(pa, path), pa.OSFile(str(path)) as file, pa.ipc.open_file(file) as opened:
            found += [opened.get_batch(batch) for batch in batches]
    return pa.Table.from_batches(found)


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
    return work / f"piece-{number:06}.arrow"


def _record(work: Path, number: int) -> Path:
    return work / f"piece-{number:06}.json"
