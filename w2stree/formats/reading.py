"""Runs from any path, whatever wrote them.

path ──> files ──> ours? ──yes──> w2stree.trajectories.files
                    └─no─> records ──> which format ──> its runs
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

from w2stree.errors import FilesPassedOver, InvalidInput
from w2stree.formats import FORMATS, own
from w2stree.formats.containers import is_binary, records
from w2stree.formats.dataset_folder import DatasetFolders, is_beside
from w2stree.formats.format import Format, Located
from w2stree.formats.openings import with_one_opening
from w2stree.formats.own_rows import written_by
from w2stree.formats.reader import Choices, Reader, Record, shown_fields
from w2stree.formats.unknown import what_it_is, why_unknown
from w2stree.shorten import visible
from w2stree.trajectories.files import Reading, warnings_of
from w2stree.trajectories.files import read_files as read_own_files
from w2stree.trajectories.folder import SUFFIXES as LINES
from w2stree.trajectories.folder import PassedOver
from w2stree.trajectories.json_text import parse_json
from w2stree.trajectories.reading_limits import DEFAULT, ReadingLimits
from w2stree.trajectories.table_columns import rows_of
from w2stree.trajectories.tables import is_table
from w2stree.trajectories.trajectory import Trajectory

AUTO = "auto"

_SUFFIXES = (".json", ".json.gz", ".json.zst", ".parquet", ".arrow")
SUFFIXES: tuple[str, ...] = (*_SUFFIXES, *chain.from_iterable(f.suffixes for f in FORMATS))
"""Of files in a folder that are looked at, beside those of our own lines and journals."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What was read, and how.

    `formats`: of each file that is not ours, the name of its format. `found`: of "reward", "task",
    "prompt", "action" and "status", how many runs had it from where. `skipped`: what was refused,
    each beginning with its place; in = `len(reading.trajectories)` + repeated + `len(skipped)`.
    """

    reading: Reading
    formats: dict[Path, str]
    found: dict[str, dict[str, int]]
    skipped: tuple[str, ...]


def read_trajectories(
    path: str | os.PathLike[str],
    *,
    format: str = AUTO,
    recursive: bool = False,
    salvage: bool = False,
    on_error: str = "stop",
    reward: str | float | Callable[[Record], float] | None = None,
    task: str | Callable[[Record], str] | None = None,
    prompt: int | Callable[..., int] | None = None,
    action: Any = None,
    one_opening: bool = False,
    limits: ReadingLimits = DEFAULT,
) -> Sequence[Trajectory]:
    """Runs of a file or a folder, by any of the tools that `w2stree.formats` knows.

    `format` is the name of one, or "auto": told by each file's first record. `reward`, `task`,
    `prompt` and `action` as in `Choices`. `one_opening` gives a task's runs the first one's prompt
    where theirs differ (a date, a simulated user's words), so that they make one tree.
    `on_error="skip"` leaves out what is no run, also what is no JSON, and of a file that is damaged
    the rest, and warns `FilesPassedOver` with the count and the first. What is larger than the
    `limits` allow is refused with the name of the limit. The rest, and what is warned and raised,
    as in `w2stree.trajectories.files.read_trajectories`, which reads our own files.
    """
    choices = Choices(reward=reward, task=task, prompt=prompt, action=action)
    read = read_files(
        path,
        format=format,
        recursive=recursive,
        salvage=salvage,
        on_error=on_error,
        choices=choices,
        one_opening=one_opening,
        limits=limits,
    )
    for message, kind in warnings_of(read.reading, f"{visible(str(path))}: "):
        warnings.warn(message, kind, stacklevel=2)
    if read.skipped:
        warnings.warn(
            f"{visible(str(path))}: {len(read.skipped)} records were skipped; the first: "
            f"{read.skipped[0]}",
            FilesPassedOver,
            stacklevel=2,
        )
    return read.reading.trajectories


def read_files(
    *paths: str | os.PathLike[str],
    format: str = AUTO,
    recursive: bool = False,
    salvage: bool = False,
    on_error: str = "stop",
    choices: Choices | None = None,
    one_opening: bool = False,
    limits: ReadingLimits = DEFAULT,
) -> Imported:
    """`read_trajectories` of one path or several, with an account of it; no warnings."""
    if on_error not in ("stop", "skip"):
        raise InvalidInput(f"on_error is {on_error!r}; use stop or skip")
    folders = DatasetFolders()
    reader = Reader(choices or Choices())
    others = _Others(format_of(format), reader, on_error == "skip", folders, limits)
    reading = read_own_files(
        *paths,
        recursive=recursive,
        is_deep=folders.are_in_folders,
        salvage=salvage,
        others=others.read,
        suffixes=SUFFIXES,
        skip=others.skipped.append if others.skips else None,
        limits=limits,
    )
    roots = [path for path in map(Path, paths) if path.is_dir() and folders.is_dataset(path)]
    used = set(others.formats.values())
    names = {name for known in FORMATS if known.name in used for name in known.beside}
    reading = replace(reading, passed_over=_beside_data(reading.passed_over, roots, names))
    if one_opening:
        runs = with_one_opening(reading.trajectories, others.reader)
        reading = replace(reading, trajectories=runs)
    found = {what: dict(counts) for what, counts in others.reader.found.items()}
    return Imported(reading, others.formats, found, tuple(others.skipped))


def _beside_data(
    entries: Iterable[PassedOver], roots: Sequence[Path], names: Collection[str]
) -> tuple[PassedOver, ...]:
    """What every data set has beside its data (in the folders `roots`), and what was read beside
    runs (`names`), is as little to be told of as a run's own files."""

    def is_usual(path: Path) -> bool:
        is_of_data = is_beside(path) and any(path.is_relative_to(root) for root in roots)
        return is_of_data or path.name in names

    return tuple(replace(e, is_of_a_run=e.is_of_a_run or is_usual(e.path)) for e in entries)


def format_of(name: str) -> Format | None:
    """The format of a name; None for `auto`. Raises `InvalidInput` with all names."""
    if name == AUTO:
        return None
    for known in FORMATS:
        if known.name == name:
            return known
    names = ", ".join((AUTO, *(known.name for known in FORMATS)))
    raise InvalidInput(f"format is {visible(name)}; use one of {names}")


@dataclass(slots=True)
class _Others:
    """Reads the files that are not our own."""

    format: Format | None
    reader: Reader
    skips: bool
    folders: DatasetFolders
    limits: ReadingLimits
    formats: dict[Path, str] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)

    def read(
        self, file: Path, is_named: bool
    ) -> Iterator[tuple[Trajectory, str]] | PassedOver | None:
        """Its runs and their places; None for a file of ours. One that stands in a folder and has
        no runs is passed over, unless its name says that it has some."""
        name = file.name.lower()
        if name.endswith(".journal"):
            if self.reader.choices.are_any:
                raise InvalidInput(
                    f"{visible(str(file))}: a journal says everything itself: leave reward=, "
                    "task=, prompt= and action= out"
                )
            return None
        if not is_named and (reason := self.folders.why_not_data(file)) is not None:
            return PassedOver(file, reason)
        told: list[str] = []  # of what is left out: by our own reader where it reads on
        try:
            return self._of_other_suffix(file, name, is_named, told)
        except InvalidInput as error:
            if not self.skips:
                raise
            self.skipped += [*told, str(error)]
            return iter(())

    def _of_other_suffix(
        self, file: Path, name: str, is_named: bool, told: list[str]
    ) -> Iterator[tuple[Trajectory, str]] | PassedOver | None:
        if self.format in (None, own.FORMAT) and file.is_file() and is_table(file):
            return self._of_table(file)
        is_lines = name.endswith(LINES)
        # Our own reader says more of a text that is no JSON lines.
        is_text = self.format is None and not name.endswith(_SUFFIXES) and not is_binary(file)
        skip = told.append if self.skips else None
        located = records(file, limits=self.limits, skip=skip, parse=_parsed)
        try:
            first = next(located, None)
        except InvalidInput:
            if is_text:
                return None
            if is_named or self.format is not None or is_binary(file):
                raise
            return PassedOver(file, "nothing in it can be read")
        if first is not None and is_text and not (self.skips or isinstance(first[1], Mapping)):
            return None
        if first is not None and (command := written_by(first[1])) is not None:
            if not is_named:
                return PassedOver(file, f"rows that w2stree {command} wrote, no runs")
            if self.format is None:
                raise InvalidInput(_own_rows(first, command))
        known, unknown = self._format_of(first, told), first
        while self.skips and known is None and first is not None:
            first = next(located, None)
            known = self._format_of(first, told)
        if first is None:
            return self._of_nothing(file, unknown, told, is_lines or is_named, is_lines or is_text)
        if known is None:
            if not (is_named or is_lines):
                return PassedOver(file, f"of no known format (fields {shown_fields(first[1])})")
            raise InvalidInput(f"{first[0]}: {why_unknown(first[1])}")
        if is_lines and known is own.FORMAT and not self.reader.choices.are_any:
            return None
        self.formats[file] = known.name
        located = self._telling(chain([first], located), told)
        return self._runs(known, located, self.folders.split_of(file))

    def _format_of(self, first: Located | None, told: list[str]) -> Format | None:
        """The format of a record; None where it is of none, or where it is skipped and told so."""
        if first is None or self.format is not None:
            return self.format
        takers = _takers(first[1])
        if len(takers) == 1:
            return takers[0]
        reason = _several(first, takers) if takers else f"{first[0]}: {why_unknown(first[1])}"
        if takers and not self.skips:
            raise InvalidInput(reason)
        told.append(reason)
        return None

    def _of_nothing(
        self, file: Path, unknown: Located | None, told: list[str], is_asked: bool, is_ours: bool
    ) -> Iterator[tuple[Trajectory, str]] | PassedOver | None:
        """Of a file without a record that is of a format."""
        if not told or (unknown is None and is_ours):
            return None if is_ours else iter(())  # our own reader says it again
        if not is_asked:
            return PassedOver(
                file,
                "nothing in it can be read"
                if unknown is None or _takers(unknown[1])
                else f"of no known format (fields {shown_fields(unknown[1])})",
            )
        self.skipped += told
        return iter(())

    def _telling(self, located: Iterable[Located], told: list[str]) -> Iterator[Located]:
        """The records, and in their order what was left out between them."""
        try:
            for record in located:
                self._tell(told)
                yield record
        finally:  # of a file that is damaged there, too
            self._tell(told)

    def _tell(self, told: list[str]) -> None:
        self.skipped += told
        told.clear()

    def _of_table(self, file: Path) -> Iterator[tuple[Trajectory, str]] | None:
        """Of a table of ours; None where it is to be read as it says itself."""
        if not self.reader.choices.are_any:
            return None
        skip = self.skipped.append if self.skips else None
        rows = ((where, own.record_of(trajectory)) for trajectory, where in rows_of(file, skip))
        return self._runs(own.FORMAT, rows, self.folders.split_of(file))

    def _runs(
        self, known: Format, located: Iterable[Located], split: str | None
    ) -> Iterator[tuple[Trajectory, str]]:
        for where, record in known.gather(located):
            try:
                if not known.recognises(record):
                    raise InvalidInput(f"{where}: {_no_record_of(known, record)}")
                for trajectory in known.runs(record, where, self.reader):
                    self.limits.refuse_long(len(trajectory.steps), where)
                    if split is not None:
                        self.reader.note("split", split)
                    self.reader.keep_notes()
                    yield trajectory, where
            except InvalidInput as error:
                if not self.skips:
                    raise
                self.reader.forget_notes()
                self.skipped.append(str(error))


def _parsed(text: bytes, where: str) -> Any:
    """Strictly, but for NaN in records of tools that write it."""
    try:
        return parse_json(text, where)
    except InvalidInput:
        if b"NaN" in text or b"Infinity" in text:
            value = parse_json(text, where, with_nan=True)
            if any(known.writes_nan and known.recognises(value) for known in FORMATS):
                return value
        raise


def _takers(record: Any) -> list[Format]:
    """The formats that it is of, without those of which the first is a special kind."""
    takers = [known for known in FORMATS if known.recognises(record)]
    return [known for known in takers if known.name not in takers[0].within]


def _several(first: Located, takers: Sequence[Format]) -> str:
    names = " and ".join(f"{known.title} ({known.name})" for known in takers)
    return f"{first[0]}: of {names}: say which of them (format=, --format)"


def _own_rows(first: Located, command: str) -> str:
    return (
        f"{first[0]}: these are rows that w2stree {command} wrote, not runs: give the runs that "
        "they were made of, and keep rows in another folder (--format reads them as runs all the "
        "same)"
    )


def _no_record_of(known: Format, record: Any) -> str:
    told = f"no record of {known.title}: "
    if (other := recognised(record)) is None:
        return f"{told}{what_it_is(record)}"
    return (
        f"{told}it is one of {other.title} (format {other.name}); a file is read as one format: "
        "give each its own file, or leave those of others out (on_error=skip, --on-error skip)"
    )


def recognised(record: Any) -> Format | None:
    """The first format that a record is of."""
    return next((known for known in FORMATS if known.recognises(record)), None)
