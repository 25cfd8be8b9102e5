"""When an episode was played, and where: beside its record, never in it. Episodes that were played
at another hour are the same episodes.

.episodes.journal.times
{"session": 1764210346.1, "task_id": "twc/train/3", "sample_index": 0, "attempt": 0, "slot": 1,
 "marks": [1764210346.2, 1764210346.9, 1764210347.3, 1764210347.4, …]}
           begun          reset         said          answered, twice a turn …
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from w2stree.errors import InvalidInput
from w2stree.trajectories.journal import Key, key_of
from w2stree.trajectories.json_text import parse_json
from w2stree.trajectories.trajectory import Trajectory
from w2stree.trajectories.utf8 import decode_utf8


@dataclass(slots=True)
class EpisodeTimes:
    """Seconds since 1970, by the clock of whoever played the episode.

    `slot`: the environment's number in its pool. `session`: when the exploration that it was
    played in was begun, or gone on with. `marks`: begun; reset, where that was reached; then of
    each turn when the policy had said it and when the environment had answered; at last the end.
    An episode that failed has fewer.
    """

    task_id: str
    sample_index: int
    attempt: int
    slot: int
    marks: list[float] = field(default_factory=list)
    session: float = 0.0

    @property
    def key(self) -> Key:
        """Of the episode, as a journal has it."""
        return self.task_id, self.sample_index, self.attempt


def times_file(journal: Path) -> Path:
    """Beside a journal of `w2stree explore`."""
    return journal.with_name(f".{journal.name}.times")


def stage_times(run_dir: Path, stage: str) -> Path:
    """Of a stage of `w2stree run`, all times that it was made: it is no result, and lies beside the
    stages."""
    return run_dir / f".{stage}.times"


class KeptTimes:
    """Times of a session's episodes, appended to a file once these are on the disk; without a
    file, kept nowhere."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._session = time.time()
        self._pending: dict[Key, EpisodeTimes] = {}

    def add(self, times: EpisodeTimes) -> None:
        """Of an episode that has ended."""
        if self._path is not None:
            times.session = self._session
            self._pending[times.key] = times

    def keep(self, trajectories: Iterable[Trajectory]) -> None:
        """Write a line for each of these. What cannot be written is missing from a timeline, which
        says so: no reason to end an exploration."""
        keys = [key_of(trajectory) for trajectory in trajectories]
        known = [self._pending.pop(key) for key in keys if key in self._pending]
        lines = [f"{json.dumps(asdict(times))}\n" for times in known]
        if self._path is not None and lines:
            with suppress(OSError), self._path.open("a", encoding="utf-8") as file:
                file.write("".join(lines))


def read_times(path: Path) -> dict[Key, EpisodeTimes]:
    """By episode; of one that was played twice, since a journal lost it, the last. A last line
    that is torn is left out. Raises `InvalidInput` naming the line for anything else."""
    found: dict[Key, EpisodeTimes] = {}
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True), start=1):
        if line.endswith(b"\n"):
            where = f"{path}:{number}"
            times = _times(parse_json(decode_utf8(line, where), where), where)
            found[times.key] = times
    return found


def _times(record: Any, where: str) -> EpisodeTimes:
    match record:
        case {
            "task_id": str(task_id),
            "sample_index": int(sample_index),
            "attempt": int(attempt),
            "slot": int(slot),
            "marks": [_, *_] as marks,
            "session": int() | float() as session,
        } if all(isinstance(mark, int | float) for mark in marks) and marks == sorted(marks):
            return EpisodeTimes(task_id, sample_index, attempt, slot, marks, session)
    raise InvalidInput(f"{where}: no times of an episode; delete that line, its episode lacks them")
