"""Episodes as they were played: how long each took, and how large its frame in the journal is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from w2stree.trajectories.episodes import FramedEpisode, read_episodes
from w2stree.trajectories.journal import key_of
from w2stree.trajectories.times import read_times, times_file


@dataclass(frozen=True, slots=True)
class Episode:
    """Seconds from its begin to its end, and bytes of its frame."""

    seconds: float
    num_bytes: int


def recorded(journal: Path, *, turn_s: float = 0.0) -> list[Episode]:
    """Those of a journal of `w2stree explore` that have times, in its order. `turn_s`: what a
    policy would take for a turn beside what the recorded one took."""
    times = read_times(times_file(journal))
    found = []
    for piece in read_episodes(journal):
        assert isinstance(piece, FramedEpisode)
        if (played := times.get(key_of(piece.trajectory))) is not None:
            seconds = played.marks[-1] - played.marks[0]
            thought = turn_s * len(piece.trajectory.steps)
            found.append(Episode(seconds + thought, piece.frame.end - piece.frame.offset))
    return found


def drawn(episodes: list[Episode], count: int, seed: int) -> list[Episode]:
    """So many of them, with replacement."""
    chosen = np.random.default_rng(seed).integers(len(episodes), size=count)
    return [episodes[i] for i in chosen.tolist()]
