"""What one driver can take in: the real one, whose workers have played whatever they are given.

Exploration <── RayExecutor <── leases' frames, at once        seconds of the processor, without
   └─> journal, times, progress as `w2stree explore` shows it  those of whoever makes the frames
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from w2stree.cli.explore import describe, figures_of
from w2stree.policies.protocol import Sampling
from w2stree.rollouts.cluster.crew import Answer, Crew
from w2stree.rollouts.cluster.ray_executor import RayExecutor
from w2stree.rollouts.cluster.worker import Lease, News
from w2stree.rollouts.episode import EpisodePlan
from w2stree.rollouts.exploration import Exploration, plan_episodes
from w2stree.trajectories.frames import encode_frame
from w2stree.trajectories.journal import Journal, read_journal
from w2stree.trajectories.times import times_file
from w2stree.trajectories.trajectory import Trajectory


@dataclass(frozen=True, slots=True)
class Rate:
    """`cpu_s`: of all threads of the driver. `wall_s` has the disk's time too, and the crew's."""

    num_tasks: int
    num_episodes: int
    num_bytes: int
    cpu_s: float
    wall_s: float


def driver_rate(
    recorded: Path, folder: Path, *, num_tasks: int, num_samples: int, num_workers: int
) -> Rate:
    """Explores so many tasks and samples, with the episodes of a journal under their names, into a
    journal in `folder`."""
    runs = read_journal(recorded).trajectories
    crew = _ReadyCrew(runs, num_workers)
    plans = plan_episodes(
        [f"task/{i}" for i in range(num_tasks)], [Sampling()] * num_samples, seed=0
    )
    path = folder / "episodes.journal"
    begin, cpu = time.monotonic(), time.process_time()
    with Journal(path) as journal, RayExecutor(cast(Crew, crew), journal) as executor:
        exploration = Exploration(
            journal,
            executor,
            times=times_file(path),
            progress=lambda state: (describe(state), figures_of(state)),
        )
        exploration.play(plans)
    cpu, wall = time.process_time() - cpu - crew.cpu_s, time.monotonic() - begin
    return Rate(num_tasks, len(plans), path.stat().st_size, cpu, wall)


class _ReadyCrew:
    """As `Crew`, without Ray: what a lease asks for is in the next answers."""

    def __init__(self, runs: Sequence[Trajectory], num_workers: int) -> None:
        self._runs, self.num_workers, self.num_side_by_side = runs, num_workers, 8 * num_workers
        self._idle = [f"{i}" for i in range(num_workers)]
        self._played: list[Answer] = []
        self._number = 0
        self.cpu_s = 0.0

    def idle(self) -> list[tuple[str, int]]:
        return [(name, 8) for name in self._idle]

    def play(self, name: str, lease: Lease) -> None:
        cpu = time.thread_time()
        self._idle.remove(name)
        frames = b"".join(self._frame(plan) for plan in lease.plans)
        self._played.append(Answer(name, "here", News(frames, len(frames), (), True)))
        self.cpu_s += time.thread_time() - cpu

    def answers(self) -> list[Answer]:
        played, self._played = self._played, []
        self._idle += [answer.name for answer in played]
        return played

    def _frame(self, plan: EpisodePlan) -> bytes:
        run = self._runs[self._number % len(self._runs)]
        self._number += 1
        origin = replace(run.origin, sample_index=plan.sample_index, attempt=plan.attempt)
        run = replace(run, task_id=plan.task_id, origin=origin)
        return encode_frame(run.to_json().encode("utf-8"))

    def made_progress(self, name: str) -> None: ...

    def collect(self) -> Iterator[Any]:
        return iter(())

    def discard(self) -> None: ...

    def dismiss(self) -> None: ...
