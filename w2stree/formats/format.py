"""A format: how some tool writes runs down, and how its records become trajectories.

file ──containers──> records ──gather──> one record a run, or several runs in it
                                              │ runs
                                              ▼
                     record_of  <────────  Trajectory
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from w2stree.formats.reader import Reader
from w2stree.trajectories.trajectory import Trajectory

Located = tuple[str, Any]
"""A record and where it stands: `runs.jsonl:3`, `runs.parquet: row 3`, `log.json`."""


def _each_is_one(records: Iterable[Located]) -> Iterator[Located]:
    yield from records


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One way of writing runs.

    `recognises`: whether a file's first record is of this format, told by its fields alone; it
    never raises. `gather` puts together the records of a file that are one run. `runs` are those
    that a record holds; raises `InvalidInput`, beginning with the place, for what is no run.
    `record_of` is the record of a trajectory, which `runs` reads back equal, or raises
    `InvalidInput` for what cannot be written; None where the format is read only, or is written as
    more than records (`write`: all of them, to a path). `suffixes`: of its files, where these are
    no usual ones. `beside`: the names of files that stand with its runs and are read with them.
    `within`: names of formats that its records are of too, being a special kind of theirs.
    `writes_nan`: its tool writes NaN and Infinity where JSON has no number, and `runs` knows what
    they mean there; in texts of others they are refused.
    """

    name: str
    title: str
    recognises: Callable[[Any], bool]
    runs: Callable[[Any, str, Reader], Iterable[Trajectory]]
    gather: Callable[[Iterable[Located]], Iterator[Located]] = _each_is_one
    record_of: Callable[[Trajectory], Mapping[str, Any]] | None = None
    write: Callable[[Path, Iterable[Trajectory]], None] | None = None
    suffixes: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    within: tuple[str, ...] = ()
    writes_nan: bool = False
