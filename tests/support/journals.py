"""A journal of six episodes, whose texts are no ASCII and have an odd line break."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from w2stree.trajectories.journal import Journal
from w2stree.trajectories.origin import Origin
from w2stree.trajectories.trajectory import Message, Status, Step, Trajectory


def episode(
    task_id: str = "t", sample: int = 0, *, attempt: int = 0, status: Status = "done"
) -> Trajectory:
    return Trajectory(
        task_id,
        (Message("user", "Cook.\nEin Kürbis\u2028"),),
        (Step("take knife", "Taken.", "Action: take knife", (1, 2), (-0.5, -1.0), 0.25),),
        0.0 if status == "error" else 0.25,
        status,
        Origin(sample_index=sample, attempt=attempt),
    )


def record(path: Path, episodes: Sequence[Trajectory]) -> Path:
    with Journal(path) as journal:
        for trajectory in episodes:
            journal.append(trajectory)
    return path


EPISODES = [episode(task, sample) for task in ("t", "u") for sample in range(3)]
