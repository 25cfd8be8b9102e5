"""Trajectories in files: JSON lines, and journals, whose lines carry a checksum too.

a.jsonl  b.jsonl.gz  c.journal  notes.txt
   └─────────┴──────────┘           └ passed over, with the reason
       read, and looked at for what was read before (`repeats`)
"""

from __future__ import annotations

import os
import warnings
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from pathlib import Path

from w2stree.errors import FilesPassedOver, InvalidInput, RepeatedTrajectories
from w2stree.shorten import quoted, visible
from w2stree.trajectories.allowed import Allowed
from w2stree.trajectories.episodes import FramedEpisode, read_episodes
from w2stree.trajectories.folder import PassedOver, entries, holds_trajectories
from w2stree.trajectories.json_columns import read_columns
from w2stree.trajectories.json_lines import LinesAhead, begins_array
from w2stree.trajectories.lines import Skip, read_lines
from w2stree.trajectories.places import Places
from w2stree.trajectories.reading_limits import DEFAULT, ReadingLimits
from w2stree.trajectories.records_read import RecordsRead
from w2stree.trajectories.repeats import Repeats
from w2stree.trajectories.replacing import replacing
from w2stree.trajectories.table_columns import read_tables, rows_of
from w2stree.trajectories.tables import is_table
from w2stree.trajectories.trajectory import Trajectory
from w2stree.trajectories.utf8 import decode_utf8

_SHOWN_COLUMNS = 40  # of a line that is no record
_SHOWN_NAMES = 3  # of files that were passed over for one reason, of damaged places
_GIVEN_BEFORE = "given before, as "

Others = Callable[[Path, bool], Iterator[tuple[Trajectory, str]] | PassedOver | None]


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read at a path, or at several, and what was not.

    `places`: where each trajectory stands, "runs.jsonl:3" or "runs.journal: byte 417". `files`:
    each file that was read, with the number of its trajectories that count. `passed_over`:
    everything else that was given or lies in the folder. `num_superseded` attempts of journals
    count by another attempt at their sample. `num_repeated` trajectories had been read before,
    and were left out; `num_alike` equal an earlier one and have no seed and sample to tell whether
    they are that one, `num_differing` have those of an earlier one and differ from it: these count.
    `repeated`, `alike`, `differing`: the first such place, and the one before it. `damage`: each
    damaged place of the journals that were salvaged, and what is wrong there.
    """

    trajectories: Sequence[Trajectory]
    files: dict[Path, int]
    passed_over: tuple[PassedOver, ...] = ()
    places: Sequence[str] = ()
    num_superseded: int = 0
    num_repeated: int = 0
    repeated: tuple[str, str] | None = None
    num_alike: int = 0
    alike: tuple[str, str] | None = None
    num_differing: int = 0
    differing: tuple[str, str] | None = None
    damage: tuple[str, ...] = ()


def read_trajectories(
    path: str | os.PathLike[str],
    *,
    recursive: bool = False,
    salvage: bool = False,
    limits: ReadingLimits = DEFAULT,
) -> Sequence[Trajectory]:
    """Read a file of JSON lines, a `.journal`, or all such files of a folder in name order.

    JSON lines are `.jsonl` or `.ndjson`, as they are or packed (`.gz`, and `.zst` with the `zst`
    extra); line ends may be those of Windows, and a byte order mark may stand before them.
    `recursive` reads the folder's folders too. A journal's attempts at one sample count once: the
    last that did not end in an error, else the last one. A torn end, never acknowledged, is
    passed over. A trajectory that was read before, with one task, seed, sample, attempt and player
    and equal in everything, counts once; one with those of another and with other contents is
    counted beside it, except within one journal.

    Warns `FilesPassedOver` naming what a folder has that was not read, and why;
    `RepeatedTrajectories` with the count and a place. `read_files` gives both as values.
    Raises `InvalidInput` naming file:line, the field and the fix at the first bad record, and both
    places where two trajectories of one journal differ that should be one; `JournalError` for a
    damaged journal; `MissingDependency`; `FileNotFoundError` where there is nothing to read, naming
    the folders in a directory that have something.
    With `salvage` a damaged journal's other frames are read, and the warning `FilesPassedOver`
    names the damaged ones and what is wrong in them; the file stays as it is. `limits` on what a
    file may ask for may be raised.
    """
    reading = read_files(path, recursive=recursive, salvage=salvage, limits=limits)
    for message, kind in warnings_of(reading, f"{visible(str(path))}: "):
        warnings.warn(message, kind, stacklevel=2)
    return reading.trajectories


def read_files(
    *paths: str | os.PathLike[str],
    recursive: bool = False,
    salvage: bool = False,
    is_deep: Callable[[Path], bool] | None = None,
    others: Others | None = None,
    suffixes: tuple[str, ...] = (),
    skip: Skip | None = None,
    limits: ReadingLimits = DEFAULT,
) -> Reading:
    """`read_trajectories` of one path or several, as if their files lay in one folder, with an
    account of the files and of what was there before; no warnings (`warnings_of`).

    A file that was given before, by another name too, is passed over. `is_deep` is asked of each
    folder that is named whether its folders are read without `recursive` too. `others` is asked
    first for each file, of `suffixes` too: it gives the runs of one that is not ours, None for one
    that is, or says why it is passed over. It is told whether the file was named itself. `skip` is
    given what is wrong with a record, which is then left out, or with a file, of which the rest is;
    journals have `salvage` for it. More runs, and longer ones, than the `limits` are refused.

    Where all files are JSON lines of ours to the letter, `trajectories` are `Records`: O(bytes) of
    them, and in memory their text and its columns. Else they are a list, at some thirty times the
    time, and a multiple of the text.
    """
    passed_over: list[PassedOver] = []
    by_file: dict[Path, tuple[list[tuple[Trajectory, str]], int]] = {}
    given: dict[tuple[int, int], Path] = {}
    repeats = Repeats()
    damage: list[str] | None = [] if salvage else None

    allowed = Allowed(limits, skip)
    waiting: list[Path] = []  # ours, which are read together where there are no others

    def read_waiting() -> None:
        for file in waiting:
            by_file[file] = _read_file(file, repeats, damage, allowed)
        waiting.clear()

    def read_entry(entry: Path, is_named: bool) -> PassedOver | None:
        """Reads a file, or lets it wait, or says why it is passed over."""
        if (first := given.setdefault(_identity(entry), entry)) is not entry:
            return PassedOver(entry, f"{_GIVEN_BEFORE}{first}")
        runs = None if others is None else others(entry, is_named)
        if isinstance(runs, PassedOver):
            return runs
        if runs is None:
            waiting.append(entry)
        else:
            read_waiting()
            by_file[entry] = repeats.new(allowed.of(runs)), 0
        return None

    for path in map(Path, paths):
        found = [
            entry if isinstance(entry, PassedOver) else read_entry(entry, entry == path)
            for entry in _at(path, recursive=recursive, is_deep=is_deep, more=suffixes)
        ]
        here = [entry for entry in found if entry is not None]
        if len(here) == len(found) and not any(e.reason.startswith(_GIVEN_BEFORE) for e in here):
            raise FileNotFoundError(f"{path}: no files of runs{instead_of_files(here)}")
        passed_over += here
    columns = None if by_file else _in_columns(waiting, repeats, allowed)
    if columns is None:
        read_waiting()
    read = list(chain.from_iterable(read for read, _ in by_file.values()))
    return Reading(
        [trajectory for trajectory, _ in read] if columns is None else columns.records,
        {file: len(read) for file, (read, _) in by_file.items()}
        if columns is None
        else columns.places.num_by_file(),
        tuple(passed_over),
        tuple(place for _, place in read) if columns is None else columns.places,
        sum(num_superseded for _, num_superseded in by_file.values()),
        repeats.repeated.count,
        repeats.repeated.first,
        repeats.alike.count,
        repeats.alike.first,
        repeats.differing.count,
        repeats.differing.first,
        tuple(damage or ()),
    )


def write_trajectories(path: str | os.PathLike[str], trajectories: Iterable[Trajectory]) -> None:
    """Write JSON lines, all or nothing (`replacing`); `TypeError` for anything but trajectories."""
    with replacing(path) as file:
        for i, trajectory in enumerate(trajectories):
            if not isinstance(trajectory, Trajectory):
                raise TypeError(
                    f"trajectories[{i}] is {type(trajectory).__name__}; expected Trajectory"
                )
            file.write(trajectory.to_json() + "\n")


def _at(
    path: Path,
    *,
    recursive: bool,
    is_deep: Callable[[Path], bool] | None,
    more: tuple[str, ...],
) -> Iterable[Path | PassedOver]:
    if not path.exists():
        if path.is_symlink():
            raise FileNotFoundError(f"{path}: a link to {path.readlink()}, which is not there")
        raise FileNotFoundError(f"{path}: no such file or directory")
    if path.is_fifo():
        raise InvalidInput(f"{visible(str(path))}: a pipe, which can be read once: give a file")
    if not path.is_dir():
        return [path]
    deep = recursive or (is_deep is not None and is_deep(path))
    return entries(path, recursive=deep, more=more)


def _in_columns(
    files: Sequence[Path], repeats: Repeats, allowed: Allowed
) -> RecordsRead[Places] | None:
    """All of them, where they are of one kind that has columns, and nothing has to be left out."""
    if not all(file.is_file() for file in files):  # a pipe is read once
        return None
    if allowed.skip is not None:  # rows of a table are looked at when they are asked for
        return read_columns(files, repeats, allowed.limits)
    kinds = {is_table(file) for file in files}
    if kinds == {True}:
        return read_tables(files, repeats, allowed.limits)
    return read_columns(files, repeats, allowed.limits) if kinds == {False} else None


def _identity(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_dev, status.st_ino


def _read_file(
    file: Path, repeats: Repeats, damage: list[str] | None, allowed: Allowed
) -> tuple[list[tuple[Trajectory, str]], int]:
    """Each trajectory that counts, with its place; and how many attempts were superseded."""
    if file.suffix.lower() == ".journal":
        return _last_attempts(_of_journal(file, repeats, damage))
    return repeats.new(allowed.of(_of_file(file, allowed))), 0


def _of_file(file: Path, allowed: Allowed) -> Iterator[tuple[Trajectory, str]]:
    if file.is_file() and is_table(file):
        yield from rows_of(file, allowed.skip)
    else:
        yield from _of_lines(file, allowed.limits, allowed.skip)


def _of_journal(
    file: Path, repeats: Repeats, damage: list[str] | None
) -> Iterator[tuple[Trajectory, str, bool]]:
    """Each with its place and whether it is new; what is damaged goes into the list, or is refused
    without."""
    for piece in read_episodes(file, salvage=damage is not None):
        if isinstance(piece, FramedEpisode):
            where = f"{file}: byte {piece.frame.offset}"
            is_new = repeats.is_new(piece.trajectory, where, journal=str(file))
            yield piece.trajectory, where, is_new
        elif damage is not None and not piece.is_torn:
            reason = piece.reason or f"{piece.size} bytes that are no frame"
            damage.append(f"{file}: byte {piece.offset}: {reason}")


def _of_lines(
    file: Path, limits: ReadingLimits, skip: Skip | None
) -> Iterator[tuple[Trajectory, str]]:
    lines = LinesAhead(read_lines(file, limits=limits, skip=skip))
    # Where something may be left out, a line of something else before records is no more than that.
    if (first := lines.first()) is not None and not (skip and lines.hold_records()):
        _refuse_other_files(first[1], f"{file}:{first[0]}")
    for where, trajectory in lines.parsed(str(file), _trajectory_of, skip):
        yield trajectory, where


def _trajectory_of(line: bytes, where: str) -> Trajectory:
    return Trajectory.from_json(decode_utf8(line, where), where=where)


def _refuse_other_files(first_line: bytes, where: str) -> None:
    begin = first_line.removeprefix(BOM_UTF8).lstrip()
    if begin.startswith(b"{"):
        return
    text = decode_utf8(first_line, where) if first_line[:1] in b"\xff\xfe\0" else ""
    begins = quoted(text or begin.decode("utf-8", errors="replace").strip(), _SHOWN_COLUMNS)
    raise InvalidInput(
        f"{where}: no JSON-lines file of trajectories: it begins with {begins}; "
        f"expected one JSON object a line{_other_form(begin)}"
    )


def _other_form(begin: bytes) -> str:
    if begins_array(begin):
        if begin[1:].lstrip()[:20].startswith((b'{"role"', b'{"content"')):
            return " (of arrays of messages: jq -c '{messages: .}' FILE > NEW.jsonl)"
        return " (of an array: jq -c '.[]' FILE > NEW.jsonl)"
    return " (a journal is named .journal)" if begin.startswith(b"w2s1 ") else ""


def _last_attempts(
    attempts: Iterable[tuple[Trajectory, str, bool]],
) -> tuple[list[tuple[Trajectory, str]], int]:
    """One trajectory a sample, in order of first attempts, and all of those that name no sample;
    of these the new ones: an attempt that was read elsewhere still stands for its sample. And how
    many new ones another attempt stands for."""
    counted: dict[object, tuple[Trajectory, str, bool]] = {}
    num_new = 0
    for number, (trajectory, where, is_new) in enumerate(attempts):
        num_new += is_new
        origin = trajectory.origin
        sample = (trajectory.task_id, origin.seed, origin.sample_index)
        key = number if origin.sample_index is None else sample
        before, _, _ = counted.get(key, (None, "", False))
        replaces = before is None or before.status == "error" or trajectory.status != "error"
        if replaces and before != trajectory:
            counted[key] = (trajectory, where, is_new)
    kept = [(trajectory, where) for trajectory, where, is_new in counted.values() if is_new]
    return kept, num_new - len(kept)


def instead_of_files(passed_over: Iterable[PassedOver]) -> str:
    """Of a folder without files of runs, what there is instead: folders that have such files, as a
    run's stages do, or folders further down; or what was passed over. To follow a message."""
    passed_over = list(passed_over)
    folders = [e.path for e in passed_over if e.path.is_dir() and not e.path.name.startswith(".")]
    if with_files := [f for f in folders if holds_trajectories(f)]:
        # A run's stages play the same tasks, some with other instructions: no forest of all.
        is_run = any((folder / "manifest.json").exists() for folder in with_files)
        all_of_them = "" if is_run else "; or all of them (--recursive)"
        names = ", ".join(visible(folder.name) for folder in with_files)
        return f"; read one of its folders: {names}{all_of_them}"
    told = _told(entry for entry in passed_over if entry.path not in folders)
    deeper = "; its folders are read with recursive (--recursive)" if folders else ""
    return (f"; passed over: {told}" if told else "") + deeper


def warnings_of(reading: Reading, where: str = "") -> Iterator[tuple[str, type[UserWarning]]]:
    """What whoever reads should know beside the trajectories, and the class to warn with; `where`
    begins what is said of files that were passed over."""
    if told := _told(entry for entry in reading.passed_over if not entry.is_of_a_run):
        yield f"{where}passed over {told}", FilesPassedOver
    if reading.damage:
        num_more = len(reading.damage) - _SHOWN_NAMES
        places = "; ".join(map(visible, reading.damage[:_SHOWN_NAMES]))
        more = f"; and {num_more} more" if num_more > 0 else ""
        yield (
            f"went on without {len(reading.damage)} damaged places: {places}{more}",
            FilesPassedOver,
        )
    if reading.repeated:
        one, before = (visible(place) for place in reading.repeated)
        yield (
            f"{_trajectories(reading.num_repeated)} twice and once counted: one task, seed, sample "
            f"and attempt, equal in everything ({one} is {before})",
            RepeatedTrajectories,
        )
    if reading.alike:
        one, before = (visible(place) for place in reading.alike)
        yield (
            f"{_trajectories(reading.num_alike)} equal to an earlier one in everything, without a "
            f"seed and sample to tell whether it is that one: all count ({one} equals {before})",
            RepeatedTrajectories,
        )
    if reading.differing:
        one, before = (visible(place) for place in reading.differing)
        whose = "has" if reading.num_differing == 1 else "have"
        yield (
            f"{_counted(reading.num_differing)} {whose} the task, seed, sample and attempt of an "
            f"earlier one, and other contents: all count, as of runs that were played again or by "
            f"another model ({one}, and before it {before})",
            RepeatedTrajectories,
        )


def _trajectories(count: int) -> str:
    return f"{_counted(count)} {'is' if count == 1 else 'are'}"


def _counted(count: int) -> str:
    return "1 trajectory" if count == 1 else f"{count} trajectories"


def _told(passed_over: Iterable[PassedOver]) -> str:
    """By reason: a.csv, b.csv and 7 more (no …), .c.jsonl (hidden)."""
    by_reason = sorted(passed_over, key=lambda entry: entry.reason)
    groups = []
    for reason, group in groupby(by_reason, key=lambda entry: entry.reason):
        names = [visible(entry.path.name) for entry in group]
        more = len(names) - _SHOWN_NAMES
        shown = ", ".join(names[:_SHOWN_NAMES]) + (f" and {more} more" if more > 0 else "")
        groups.append(f"{shown} ({visible(reason)})")
    return ", ".join(groups)
