"""Trajectories in files: JSON lines, and journals, whose lines carry a checksum too."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from w2stree.errors import InvalidInput
from w2stree.trajectories.frames import Frame, read_frames
from w2stree.trajectories.replacing import replacing
from w2stree.trajectories.trajectory import Trajectory


def read_trajectories(path: str | os.PathLike[str]) -> list[Trajectory]:
    """Read a JSON-lines file, a `.journal`, or every `*.jsonl` and `*.journal` of a directory in
    name order.

    Of a journal's attempts at one sample the last that did not end in an error counts, else the
    last one; a torn end, never acknowledged, is passed over. Raises `InvalidInput` naming
    file:line, the field and the fix at the first bad record; `JournalError` for a damaged
    journal; `FileNotFoundError` where there is nothing to read.
    """
    root = Path(path)
    if root.is_dir():
        files = sorted(f for f in root.iterdir() if f.suffix in (".jsonl", ".journal"))
        if not files:
            raise FileNotFoundError(f"{root}: no *.jsonl or *.journal files")
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


def _read_file(file: Path) -> Iterator[Trajectory]:
    if file.suffix == ".journal":
        frames = (piece for piece in read_frames(file) if isinstance(piece, Frame))
        yield from _last_attempts(parse_frame(file, frame) for frame in frames)
        return
    with file.open("rb") as stream:
        for number, raw in enumerate(stream, start=1):
            where = f"{file}:{number}"
            try:
                line = raw.decode("utf-8")
            except UnicodeDecodeError as error:
                raise InvalidInput(f"{where}: not UTF-8 at byte {error.start}") from None
            if line.strip():
                yield Trajectory.from_json(line, where=where)


def _last_attempts(attempts: Iterable[Trajectory]) -> Iterable[Trajectory]:
    """One trajectory a sample, in order of first attempts."""
    counted: dict[tuple[str, int | None], Trajectory] = {}
    for trajectory in attempts:
        sample = (trajectory.task_id, trajectory.origin.sample_index)
        if trajectory.status != "error" or counted.get(sample, trajectory).status == "error":
            counted[sample] = trajectory
    return counted.values()
