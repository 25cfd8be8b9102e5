"""What is to be done: Parquet files as pieces of some megabytes, and how many buckets they fill.

a.parquet   groups 0 1 2 │ 3 4 5 │ …        a piece is a run of row groups
b.parquet   groups 0 1                      so many bytes of Arrow a row, from a sample
"""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from w2stree.errors import InvalidInput
from w2stree.forest.task_buckets import check_num_buckets
from w2stree.shorten import visible
from w2stree.trajectories.tables import check_schema, damage_told, is_table, pyarrow_for

_PIECE_BYTES = 64 << 20
_BUCKET_BYTES = 64 << 20
"""Of Arrow. What is made of a bucket takes a few times as much."""
_SECTION_BYTES = 48 << 20
"""What is sorted at once: a piece, but for one whose row groups are large. The larger it is, the
fewer fragments of a few rows there are, where buckets are many."""
_SAMPLED_FILES, _SAMPLED_ROWS = 8, 256


@dataclass(frozen=True, slots=True)
class Piece:
    """Row groups of one file. `first_row`: of the first, from 1 as places count."""

    number: int
    file: str
    first_row: int
    groups: tuple[int, ...]
    rows_at_once: int


@dataclass(frozen=True, slots=True)
class Plan:
    """All pieces, in the order of the rows; `files`: each with its bytes and time of change."""

    pieces: tuple[Piece, ...]
    num_buckets: int
    files: tuple[tuple[str, int, int], ...]


def plan_of(paths: Iterable[str], num_buckets: int | None) -> Plan:
    """`num_buckets` None: one for each 64 MiB of the runs in memory.

    Raises `FileNotFoundError` where nothing is there, `InvalidInput` for a file that is no table of
    ours and for no rows. Reads the end of each file and some rows of a few.
    """
    if num_buckets is not None:
        check_num_buckets(num_buckets)
    files = list(tables_at(paths))
    states = tuple(map(_state, files))  # before they are read: what changes then is seen
    groups = {file: _rows_of_groups(file) for file in files}
    num_rows = sum(map(sum, groups.values()))
    if not num_rows:
        raise InvalidInput(f"{', '.join(map(visible, paths))}: there are no trajectories in it")
    row_bytes = _bytes_of_a_row(files)
    found = tuple(_pieces(groups, row_bytes))
    return Plan(
        found,
        num_buckets or max(1, round(num_rows * row_bytes / _BUCKET_BYTES)),
        states,
    )


def refuse_changed(plan: Plan) -> None:
    """Raises `InvalidInput` naming a file that is not as it was when the plan was made."""
    for state in plan.files:
        if not Path(state[0]).is_file() or _state(Path(state[0])) != state:
            raise InvalidInput(
                f"{visible(state[0])}: was written to, or removed, while it was read: give the "
                "command again with another output folder, once nobody writes the input"
            )


def _state(file: Path) -> tuple[str, int, int]:
    status = file.stat()
    return str(file), status.st_size, status.st_mtime_ns


def tables_at(paths: Iterable[str]) -> Iterator[Path]:
    """The Parquet files of ours: named, matched by a pattern, or anywhere in a folder (hidden ones
    are left out), absolute, each once, folder by folder in the order of names."""
    known: set[Path] = set()
    for path in paths:
        for file in _files(path):
            if file not in known:
                known.add(file)
                yield file


def _files(path: str) -> Iterable[Path]:
    given = Path(path)
    if path == "-":
        raise InvalidInput("standard input can be read once: an engine reads Parquet files")
    if not given.exists() and (matched := sorted(glob.glob(path))):  # noqa: PTH207 (absolute ones too)
        return [file for one in matched for file in _files(one)]
    given = given.resolve()
    if not given.exists():
        raise FileNotFoundError(f"{visible(path)}: no such file or directory")
    if given.is_dir():
        files = [
            file
            for file in sorted(given.rglob("*.parquet"))
            if not any(part.startswith(".") for part in file.relative_to(given).parts)
        ]
        if not files:
            raise FileNotFoundError(f"{visible(path)}: no .parquet in it; {_ADVICE}")
    else:
        files = [given]
    for file in files:
        if not is_table(file):
            raise InvalidInput(f"{visible(str(file))}: no Parquet table of runs of ours; {_ADVICE}")
    return files


_ADVICE = (
    "an engine reads tables of runs: w2stree convert RUNS -o RUNS.parquet makes one of any format"
)


def _rows_of_groups(file: Path) -> list[int]:
    """The file's end says more: of many files together, more than there is memory for."""
    pa, pq = pyarrow_for(file)
    with damage_told(pa, file), pq.ParquetFile(file) as opened:
        check_schema(file, opened.schema_arrow)
        end = opened.metadata
        return [end.row_group(group).num_rows for group in range(end.num_row_groups)]


def _bytes_of_a_row(files: Sequence[Path]) -> float:
    """In memory, from the first rows of a few files: what a file says is of encoded columns."""
    num_bytes = num_rows = 0
    for file in files[:: max(1, len(files) // _SAMPLED_FILES)][:_SAMPLED_FILES]:
        pa, pq = pyarrow_for(file)
        with damage_told(pa, file), pq.ParquetFile(file) as opened:
            batch = next(opened.iter_batches(_SAMPLED_ROWS), None)
        if batch is not None:
            num_bytes, num_rows = num_bytes + batch.nbytes, num_rows + batch.num_rows
    return max(1.0, num_bytes / max(num_rows, 1))


def _pieces(files: dict[Path, list[int]], row_bytes: float) -> Iterator[Piece]:
    at_once = max(1, int(_SECTION_BYTES / row_bytes))
    number = 0
    for file, sizes in files.items():
        row, first, groups, num_bytes = 1, 1, [], 0.0
        for group, size in enumerate(sizes):
            groups.append(group)
            row, num_bytes = row + size, num_bytes + size * row_bytes
            if num_bytes >= _PIECE_BYTES or group == len(sizes) - 1:
                yield Piece(number, str(file), first, tuple(groups), at_once)
                number, first, groups, num_bytes = number + 1, row, [], 0.0
