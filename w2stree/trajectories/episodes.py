"""The episodes in a journal's frames.

whole frame, readable          FramedEpisode
whole frame, no trajectory     Damage, with the reason: 0.1.0 wrote what it could not read
no frame                       Damage
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from w2stree.errors import InvalidInput, JournalError
from w2stree.trajectories.frames import Damage, Frame, read_frames, scan
from w2stree.trajectories.trajectory import Trajectory
from w2stree.trajectories.utf8 import decode_utf8


@dataclass(frozen=True, slots=True)
class FramedEpisode:
    """A trajectory and the frame that it was read from."""

    trajectory: Trajectory
    frame: Frame


def read_episodes(path: Path, *, salvage: bool = False) -> Iterator[FramedEpisode | Damage]:
    """Everything in a journal, in order; the file stays as it is.

    Raises `JournalError` naming file, byte and frame where there is damage that is no torn end,
    or a frame whose checksum holds and whose trajectory cannot be read, unless `salvage`.
    """
    for piece in read_frames(path, salvage=salvage):
        if isinstance(piece, Damage):
            yield piece
            continue
        try:
            trajectory = _parsed(path, piece)
        except InvalidInput as error:
            if not salvage:
                raise JournalError(
                    f"{error}; the frame's checksum holds, so it was written like this: "
                    "w2stree explore --salvage keeps every frame that can be read and sets the "
                    "original aside, w2stree tree --salvage only reads them"
                ) from None
            yield damaged(piece, str(error).removeprefix(f"{_place(path, piece)}: "))
        else:
            yield FramedEpisode(trajectory, piece)


def sent_episodes(frames: bytes, source: str) -> Iterator[Trajectory]:
    """The episodes in whole frames of a journal that came from elsewhere, in order.

    Raises `JournalError` naming `source` for anything else: what was written is whole.
    """
    for piece in scan(io.BytesIO(frames)):
        where = f"{source}: byte {piece.offset}"
        if isinstance(piece, Damage):
            raise JournalError(f"{where}: what came of its journal is no frame")
        try:
            yield Trajectory.from_json(decode_utf8(piece.payload, where), where=where)
        except InvalidInput as error:
            raise JournalError(str(error)) from None


def _parsed(path: Path, frame: Frame) -> Trajectory:
    """The trajectory in a frame; raises `InvalidInput` naming file and byte."""
    where = _place(path, frame)
    return Trajectory.from_json(decode_utf8(frame.payload, where), where=where)


def damaged(frame: Frame, reason: str) -> Damage:
    """A whole frame that is of no use."""
    return Damage(frame.offset, frame.end - frame.offset, reason=reason)


def _place(path: Path, frame: Frame) -> str:
    return f"{path}: byte {frame.offset}"
