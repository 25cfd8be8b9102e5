"""Damage to a journal's file: cut at every byte, a bit flipped anywhere."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from w2stree.trajectories.frames import Damage, Frame, read_frames, scan
from w2stree.trajectories.journal import Journal, read_journal
from w2stree.trajectories.origin import Origin
from w2stree.trajectories.trajectory import Message, Step, Trajectory


@dataclass(frozen=True, slots=True)
class FlipCounts:
    """Of so many flipped bits: how many went unnoticed, how many other frames salvage lost."""

    num_tried: int
    num_unnoticed: int
    num_intact_frames_lost: int


def episodes(seed: int = 0) -> Iterator[Trajectory]:
    """Endless episodes of a few steps, of every length up to some kilobytes."""
    rng = np.random.default_rng(seed)
    for sample_index in range(1_000_000_000):
        steps = tuple(
            Step(
                f"take thing {int(n)}",
                "You see. " * int(n % 13),
                token_ids=tuple(range(int(n % 50))),
            )
            for n in rng.integers(0, 1_000, size=int(rng.integers(1, 12)))
        )
        origin = Origin(sample_index)
        yield Trajectory("task", (Message("user", "Play."),), steps, 0.5, "done", origin)


def write_sample(path: Path, *, num_bytes: int) -> Path:
    """A journal of at least so many bytes."""
    with Journal(path) as journal:
        for number, trajectory in enumerate(episodes(), start=1):
            journal.append(trajectory)
            if number % 16 == 0:
                journal.commit()
                if path.stat().st_size >= num_bytes:
                    return path
    raise AssertionError


def truncations(path: Path, *, last_bytes: int) -> tuple[int, int]:
    """Scan the file cut at each of its last bytes; (cuts tried, cuts read wrongly).

    Right is: exactly the frames that lie whole before the cut, then one torn end up to it or,
    at a frame's border, nothing. A frame's check looks at nothing before it, so each scan begins
    two frames before the cut.
    """
    data = path.read_bytes()
    starts = [frame.offset for frame in read_frames(path) if isinstance(frame, Frame)]
    num_wrong = 0
    last = len(starts) - 1
    for cut in range(len(data) - 1, len(data) - 1 - last_bytes, -1):
        while starts[last] > cut:
            last -= 1
        first = max(0, last - 2)
        begin = starts[first]
        expected: list[tuple[type, int]] = [(Frame, starts[i] - begin) for i in range(first, last)]
        expected += [(Damage, starts[last] - begin)] if cut > starts[last] else []
        found = list(scan(io.BytesIO(data[begin:cut])))
        is_right = [(type(piece), piece.offset) for piece in found] == expected
        is_right &= all(piece.is_torn for piece in found if isinstance(piece, Damage))
        num_wrong += not is_right
    return last_bytes, num_wrong


def reopened_truncations(path: Path, *, every: int) -> tuple[int, int]:
    """Cut a copy at every so many bytes, open it for writing, read it; (tried, read wrongly)."""
    data = path.read_bytes()
    whole = read_journal(path).trajectories
    starts = [f.offset for f in read_frames(path) if isinstance(f, Frame)]
    ends = [*starts[1:], len(data)]
    copy = path.with_name("cut.journal")
    num_tried = num_wrong = 0
    for cut in range(0, len(data), every):
        copy.write_bytes(data[:cut])
        num_whole = sum(end <= cut for end in ends)
        border = ends[num_whole - 1] if num_whole else 0
        with Journal(copy) as journal:
            is_right = journal.num_torn_bytes == cut - border
        is_right &= copy.read_bytes() == data[:border]
        is_right &= read_journal(copy).trajectories == whole[:num_whole]
        num_tried, num_wrong = num_tried + 1, num_wrong + (not is_right)
    copy.unlink()
    return num_tried, num_wrong


def bit_flips(path: Path, *, positions: Iterable[int]) -> FlipCounts:
    """Flip one bit at a time; `positions` count bits from the file's beginning.

    Noticed is what opening refuses: damage that is not taken for a torn end, which is cut.
    """
    data = bytearray(path.read_bytes())
    frames = [f.payload for f in read_frames(path) if isinstance(f, Frame)]
    tried = unnoticed = lost = 0
    for position in positions:
        data[position // 8] ^= 1 << position % 8
        pieces = list(scan(io.BytesIO(data)))
        data[position // 8] ^= 1 << position % 8
        tried += 1
        unnoticed += not any(isinstance(p, Damage) and not p.is_torn for p in pieces)
        kept = {p.payload for p in pieces if isinstance(p, Frame)}
        lost += sum(payload not in kept for payload in frames) - 1
    return FlipCounts(tried, unnoticed, lost)
