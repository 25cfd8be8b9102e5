"""The simulation beside a cluster: the real driver and workers play a policy that only takes time.

How long machines take to come up is not simulated: a worker's time counts from its first turn.
"""

from __future__ import annotations

import asyncio
import functools
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import ray

from bench.rollouts.cluster.recorded import Episode
from bench.rollouts.cluster.simulation import Costs, simulate
from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.policies.protocol import Episode as Playing
from w2stree.policies.protocol import Sampling
from w2stree.rollouts.cluster.ray_cluster import RayCluster
from w2stree.rollouts.executor import Equipped
from w2stree.rollouts.exploration import Exploration, plan_episodes
from w2stree.trajectories.journal import Journal
from w2stree.turns.turn import AgentTurn


@dataclass(frozen=True, slots=True)
class Compared:
    """Seconds from the first turn to the last one's end, and what the slots' time has beside
    turns, as a share; `ideal`: the seconds that the turns alone fill."""

    seconds: float
    simulated_seconds: float
    ideal: float
    idle: float
    simulated_idle: float


def tried(address: str, folder: Path, *, side_by_side: int, per_slot: int) -> Compared:
    """On the machines of the Ray at `address`, one worker each."""
    path = {"PYTHONPATH": os.pathsep.join([str(Path.cwd())])}
    ray.init(address=address, log_to_driver=False, runtime_env={"env_vars": path})
    try:
        num_workers = sum(node["Alive"] for node in ray.nodes())
        tasks = [f"bed/{i}" for i in range(num_workers * side_by_side * per_slot)]
        _explore(folder, tasks, side_by_side)
    finally:
        ray.shutdown()
    turns = list(_turns(folder))
    first = {worker: min(b for w, b, _ in turns if w == worker) for worker, _, _ in turns}
    end = max(end for _, _, end in turns)
    work = sum(end - begin for _, begin, end in turns)
    slots_time = side_by_side * sum(end - begin for begin in first.values())
    told = simulate(
        [Episode(seconds_of(task), 500) for task in tasks],
        num_workers=num_workers,
        side_by_side=side_by_side,
        costs=Costs(),
    )
    return Compared(
        seconds=end - min(first.values()),
        simulated_seconds=told.seconds,
        ideal=told.ideal,
        idle=1 - work / slots_time,
        simulated_idle=1 - told.work / (told.num_slots * told.seconds),
    )


def seconds_of(task_id: str) -> float:
    """Two to six, of one task in four three times as long."""
    random = Random(task_id)
    return random.uniform(2.0, 6.0) * random.choice((1.0, 1.0, 1.0, 3.0))


def _explore(folder: Path, tasks: list[str], side_by_side: int) -> None:
    equipped = Equipped(
        functools.partial(EnvironmentPool, Bed, side_by_side),
        functools.partial(_sleeper, folder),
        num_processes=side_by_side,
        on_gpus=False,
    )
    cluster = RayCluster(prepare=lambda: None, told=print, folder=folder / "local")
    plans = plan_episodes(tasks, [Sampling()], seed=0)
    with (
        Journal(folder / "episodes.journal") as journal,
        cluster.executor(equipped, journal, run="run") as executor,
    ):
        Exploration(journal, executor).play(plans)


def _turns(folder: Path) -> Iterator[tuple[str, float, float]]:
    """Of each worker: begin and end."""
    for log in folder.glob("*.turns"):
        for line in log.read_text().splitlines():
            begin, end = line.split()
            yield log.name, float(begin), float(end)


def _sleeper(folder: Path, model: str) -> Sleeper:
    return Sleeper(folder)


class Sleeper:
    """Takes its time for the one turn of an episode, and writes down when."""

    name = "sleeper"
    tokenizer = None
    needs_expert = False

    def __init__(self, folder: Path) -> None:
        self._log = folder / f"{os.getpid()}.turns"

    async def turn(self, episode: Playing) -> AgentTurn:
        begin = time.time()
        await asyncio.sleep(seconds_of(episode.prompt[-1].content))
        with self._log.open("a") as log:
            log.write(f"{begin} {time.time()}\n")
        return AgentTurn("Action: wake")

    async def close(self) -> None: ...


class Bed:
    """One turn, and it is over. A task's statement is its id."""

    def reset(self, task_id: str) -> Any:
        return task_id, {"score": 0.0, "admissible_actions": ["wake"]}

    def step(self, action: str) -> Any:
        return "", 1.0, True, False, {"score": 1.0, "admissible_actions": ["wake"]}

    def close(self) -> None: ...
