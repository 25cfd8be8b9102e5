"""What a look costs into a piece that has none of a bucket's rows: each bucket has one for each
piece, so that it is what grows by the square."""

from __future__ import annotations

import time
from pathlib import Path

from bench.scale.generated import make_input
from w2stree.scale.pieces import bucket_table, filled_buckets, sort_piece, sorted_pieces
from w2stree.scale.plan import plan_of

_STEPS, _BUCKETS, _LOOKS = 1_000_000, 100_000, 2_000


def seconds_of_a_look(folder: Path) -> float:
    """Of the processor, its file being in the system's memory."""
    make_input(folder / "runs", _STEPS, "shuffled")
    plan = plan_of([str(folder / "runs")], _BUCKETS)
    for piece in plan.pieces:
        sort_piece(str(folder), piece, _BUCKETS)
    pieces = sorted_pieces(folder, plan.pieces)
    sections = [(piece.number, piece.ends) for piece in pieces]
    filled = set(filled_buckets(folder, pieces, _BUCKETS))
    empty = [bucket for bucket in range(_BUCKETS) if bucket not in filled][:_LOOKS]
    begin = time.process_time()
    for bucket in empty:
        bucket_table(folder, sections, bucket, _BUCKETS)
    return (time.process_time() - begin) / len(empty) / len(sections)
