"""What a source's runs are, in columns: read once, when it is added, by the usual readers.

task      twc/3  twc/3  twc/7         packed JSON, by its digest: the same runs written as two
place     :1  :2  :3                  formats share their columns
steps, return, status
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from w2stree.errors import StoreError
from w2stree.store.catalogue import Catalogue
from w2stree.store.packing import DamagedBlock, packer, unpack
from w2stree.trajectories.json_text import parse_json
from w2stree.trajectories.trajectory import Trajectory

_LEVEL = 12
_MAX_BYTES = 1 << 31
COLUMNS = ("task", "place", "steps", "return", "status")


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run of a source. `place`: where it stands, the source's name first: `logs/a.jsonl:17`."""

    task_id: str
    place: str
    num_steps: int
    total_return: float
    status: str


@dataclass(frozen=True, slots=True)
class RunColumns:
    """A source's runs as they are kept. `format`: of the file, as the readers call it."""

    num_runs: int
    format: str
    columns: tuple[tuple[Any, ...], ...]


def columns_of(
    trajectories: Sequence[Trajectory], places: Sequence[str], file: str, format: str
) -> RunColumns:
    """Of a file's runs; `places` begin with the file as it was read."""
    rows = [
        (run.task_id, place.removeprefix(file), len(run.steps), run.total_return, run.status)
        for run, place in zip(trajectories, places, strict=True)
    ]
    return RunColumns(len(rows), format, tuple(zip(*rows, strict=True)) or ((),) * len(COLUMNS))


def keep(catalogue: Catalogue, source: int, runs: RunColumns) -> None:
    """In a transaction of the catalogue."""
    digests = []
    for column in runs.columns:
        text = json.dumps(column, separators=(",", ":")).encode("ascii")
        digests.append(sha256(text).digest()[:16])
        catalogue.run(
            "INSERT OR IGNORE INTO run_column VALUES (?, ?)",
            digests[-1],
            packer(_LEVEL).compress(text),
        )
    catalogue.run(
        "INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        *(source, runs.num_runs, runs.format, *digests),
    )


def stored_runs(catalogue: Catalogue, source: int, name: str) -> list[StoredRun]:
    """A source's runs, by one of its names; none where it was not read.

    Raises `StoreError` where their columns are damaged.
    """
    (row,) = catalogue.all("SELECT * FROM runs WHERE source = ?", source) or [None]
    if row is None:
        return []
    columns = [_column(catalogue, digest) for digest in row[3:]]
    if len({len(column) for column in columns} | {row[1]}) > 1:
        raise StoreError(f"{catalogue.path}: the columns of source {source} differ in length")
    return [
        StoredRun(task, f"{name}{place}", steps, total, status)
        for task, place, steps, total, status in zip(*columns, strict=True)
    ]


def _column(catalogue: Catalogue, digest: bytes) -> list[Any]:
    found = catalogue.all("SELECT data FROM run_column WHERE digest = ?", digest)
    try:
        column = parse_json(unpack(found[0][0], _MAX_BYTES), "runs") if found else None
    except (DamagedBlock, ValueError) as error:
        raise StoreError(f"{catalogue.path}: a column of runs is damaged ({error})") from None
    if not isinstance(column, list):
        raise StoreError(f"{catalogue.path}: a column of runs is not there")
    return column
