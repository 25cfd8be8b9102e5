"""Episodes as they were played: how long each took, and how large its frame in the journal is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from w2stree.trajectories.episodes import FramedEpisode, read_episodes
from w2stree.trajectories.journal import key_of
from w2stree.trajectories.times import EpisodeTimes, read_times, times_file


@dataclass(frozen=True, slots=True)
class Episode:
    """Seconds from its begin to its end, and bytes of its frame."""

    seconds: float
    num_bytes: int


def recorded(journal: Path, *, turn_s: float | None = None) -> list[Episode]:
    """Those of a journal of `w2stree explore` that have times, in its order. `turn_s`: seconds of
    a policy for a turn, in place of what the recorded one took, or waited for those beside it."""
    times = read_times(times_file(journal))
    found = []
    for piece in read_episodes(journal):
        assert isinstance(piece, FramedEpisode)
        if (played := times.get(key_of(piece.trajectory))) is not None:
            seconds = played.marks[-1] - played.marks[0]
            if turn_s is not None:
                seconds = _of_environment(played) + turn_s * len(piece.trajectory.steps)
            found.append(Episode(seconds, piece.frame.end - piece.frame.offset))
    return found


def _of_environment(played: EpisodeTimes) -> float:
    """Its reset and its answers."""
    begun, *turns = played.marks
    reset = turns[0] - begun
    return reset + sum(
        answered - said for said, answered in zip(turns[1:-1:2], turns[2:-1:2], strict=False)
    )


def drawn(episodes: list[Episode], count: int, seed: int) -> list[Episode]:
    """So many of them, with replacement."""
    chosen = np.random.default_rng(seed).integers(len(episodes), size=count)
    return [episodes[i] for i in chosen.tolist()]
