"""Trajectories in files: JSON lines, and journals, whose lines carry a checksum too."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from w2stree.errors import InvalidInput
from w2stree.shorten import quoted
from w2stree.trajectories.frames import Frame, read_frames
from w2stree.trajectories.replacing import replacing
from w2stree.trajectories.trajectory import Trajectory

_SHOWN_COLUMNS = 40  # of a line that is no record


def read_trajectories(path: str | os.PathLike[str]) -> list[Trajectory]:
    """Read a JSON-lines file, a `.journal`, or every `*.jsonl` and `*.journal` of a directory in
    name order.

    A journal's attempts at one sample count once: the last that did not end in an error, else the
    last one. A torn end, never acknowledged, is passed over. Raises `InvalidInput` naming
    file:line, the field and the fix at the first bad record; `JournalError` for a damaged
    journal; `FileNotFoundError` where there is nothing to read, naming the folders in a directory
    that have something.
    """
    root = Path(path)
    if not root.exists():
        raise FileNotFoundError(f"{root}: no such file or directory")
    if root.is_dir():
        files = _files_in(root)
        if not files:
            raise FileNotFoundError(f"{root}: no *.jsonl or *.journal files{_where_they_are(root)}")
    else:
        files = [root]
    return [trajectory for file in files for trajectory in _read_file(file)]


def parse_frame(file: Path, frame: Frame) -> Trajectory:
    """The trajectory in a journal's frame."""
    where = f"{file}: byte {frame.offset}"
    try:
        text = frame.payload.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{where}: not UTF-8 at byte {error.start} of the frame") from None
    return Trajectory.from_json(text, where=where)


def write_trajectories(path: str | os.PathLike[str], trajectories: Iterable[Trajectory]) -> None:
    """Write JSON lines, all or nothing (`replacing`)."""
    with replacing(path) as file:
        for trajectory in trajectories:
            file.write(trajectory.to_json() + "\n")


def _files_in(folder: Path) -> list[Path]:
    return sorted(f for f in folder.iterdir() if f.suffix in (".jsonl", ".journal"))


def _where_they_are(root: Path) -> str:
    """The folders in `root` that have such files, as a run's stages do; hidden ones aside."""
    folders = sorted(f for f in root.iterdir() if f.is_dir() and not f.name.startswith("."))
    with_files = [f.name for f in folders if _files_in(f)]
    return f"; read one of its folders: {', '.join(with_files)}" if with_files else ""


def _read_file(file: Path) -> Iterator[Trajectory]:
    if file.suffix == ".journal":
        frames = (piece for piece in read_frames(file) if isinstance(piece, Frame))
        yield from _last_attempts(parse_frame(file, frame) for frame in frames)
        return
    with file.open("rb") as stream:
        lines = ((f"{file}:{n}", line) for n, line in enumerate(stream, start=1) if line.strip())
        for i, (where, line) in enumerate(lines):
            if i == 0:
                _refuse_other_files(line, where)
            yield _parse_line(line, where)


def _refuse_other_files(first_line: bytes, where: str) -> None:
    if not first_line.lstrip().startswith(b"{"):
        begins = quoted(first_line.decode("utf-8", errors="replace").strip(), _SHOWN_COLUMNS)
        raise InvalidInput(
            f"{where}: no JSON-lines file of trajectories: it begins with {begins}; "
            "expected one JSON object a line"
        )


def _parse_line(line: bytes, where: str) -> Trajectory:
    if _is_torn(line):
        raise InvalidInput(f"{where}: torn by an interrupted write; delete this line")
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{where}: not UTF-8 at byte {error.start}") from None
    return Trajectory.from_json(text, where=where)


def _is_torn(line: bytes) -> bool:
    """The beginning of a record, and no more, at the end of its file."""
    if line.endswith(b"\n") or not line.lstrip().startswith(b"{"):
        return False
    try:
        json.loads(line.decode("utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError):
        return True
    except (ValueError, RecursionError):
        pass  # too much for the parser, torn or not; reading it says so
    return False


def _last_attempts(attempts: Iterable[Trajectory]) -> Iterable[Trajectory]:
    """One trajectory a sample, in order of first attempts."""
    counted: dict[tuple[str, int | None], Trajectory] = {}
    for trajectory in attempts:
        sample = (trajectory.task_id, trajectory.origin.sample_index)
        if trajectory.status != "error" or counted.get(sample, trajectory).status == "error":
            counted[sample] = trajectory
    return counted.values()
