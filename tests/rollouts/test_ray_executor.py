"""Exploration on a cluster of two machines, real ones to Ray: the same episodes, whatever is lost.

One cluster for all; it takes a minute to start where the machine is busy.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray")

import ray
from support.cluster_policies import Unstartable, deadly, mistaken, slow
from support.explorations import PLANS, play, random_policy, rows
from support.journals import record
from support.lock import Lock
from support.quiet import QUIET
from support.ray_cluster import LEFTOVERS, add_machine, two_machines

from bench.faults.cluster_kills import ClusterKills, kill_and_resume
from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.errors import ExplorationFailure, InvalidInput
from w2stree.policies.protocol import Sampling
from w2stree.rollouts.cluster.crew import Crew
from w2stree.rollouts.cluster.left_behind import own_folder
from w2stree.rollouts.cluster.ray_executor import RayExecutor
from w2stree.rollouts.cluster.worker import Equipment
from w2stree.rollouts.executor import Equipped
from w2stree.rollouts.exploration import Budget, Exploration, Progress, plan_episodes
from w2stree.trajectories.journal import Journal, read_journal

pytestmark = [
    *QUIET,
    pytest.mark.cluster,
    *LEFTOVERS,
]

MANY = plan_episodes([f"lock/{i}" for i in range(10)], [Sampling()] * 3, seed=3)
POOL = functools.partial(EnvironmentPool, Lock, 2)


@pytest.fixture(scope="module")
def machines() -> Iterator[Any]:
    with two_machines() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def cluster(machines: Any) -> Iterator[Any]:
    path = {"PYTHONPATH": os.pathsep.join(sys.path)}  # workers import the tests' policies
    ray.init(
        address=machines.address,
        log_to_driver=False,
        logging_level="ERROR",
        runtime_env={"env_vars": path},
    )
    yield machines
    ray.shutdown()


class Run:
    """An exploration on the cluster, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.path, self.local = folder / "episodes.journal", folder / "local"
        self.told: list[str] = []
        self.num_sessions = 0

    def play(
        self,
        plans: Any = MANY,
        policy: Callable[[str], Any] = random_policy,
        pool: Callable[[], EnvironmentPool] = POOL,
        **options: Any,
    ) -> Exploration:
        self.num_sessions += 1
        equipment = Equipment(
            run="run",
            session=f"session{self.num_sessions}",
            directory=Path.cwd(),
            equipped=Equipped(pool, policy, num_processes=2, on_gpus=False),
            folder=self.local,
        )
        crew = Crew(equipment, self.told.append)
        with Journal(self.path) as journal, RayExecutor(crew, journal) as executor:
            exploration = Exploration(journal, executor, **options)
            exploration.play(plans)
        return exploration

    def workers(self) -> list[int]:
        """Process ids of those that have a journal."""
        owners = (self.local / "run").glob(".*.owner")
        return [json.loads(owner.read_text())["pid"] for owner in owners]


@pytest.fixture
def run(cluster: Any, tmp_path: Path) -> Run:
    return Run(tmp_path)


def here(folder: Path, plans: Any = MANY) -> list[str]:
    """What one machine plays."""
    with EnvironmentPool(Lock, 2) as pool:
        play(folder / "here.journal", pool, plans)
    return rows(folder / "here.journal")


def test_two_machines_play_what_one_does_and_leave_nothing(run: Run, tmp_path: Path) -> None:
    exploration = run.play(PLANS)
    assert rows(run.path) == here(tmp_path, PLANS)
    assert list(exploration.outcome().in_words()) == []
    # One who came up too late to play may have left an empty one.
    assert not [t for path in run.local.rglob("*.journal") for t in read_journal(path).trajectories]
    before = run.path.read_bytes()
    run.play(PLANS)
    assert run.path.read_bytes() == before, "nothing is left to play"


def test_killed_workers_cost_nothing_that_they_had_written(run: Run, tmp_path: Path) -> None:
    killed: list[int] = []

    def kill(progress: Progress) -> None:
        if len(killed) < 2:
            (pid, *_) = set(run.workers()) - set(killed)
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)

    run.play(policy=slow, progress=kill)
    assert rows(run.path) == here(tmp_path)
    assert len(killed) == 2
    assert any("its worker is lost" in words for words in run.told)


def test_a_machine_that_goes_is_done_without_and_a_new_one_joins(
    run: Run, machines: Any, tmp_path: Path
) -> None:
    gone: list[Any] = []

    def remove(progress: Progress) -> None:
        if not gone:
            gone.append(next(iter(machines.worker_nodes)))
            machines.remove_node(gone[0])
            add_machine(machines)

    run.play(policy=slow, progress=remove)
    assert rows(run.path) == here(tmp_path)
    assert gone


def test_what_a_dead_driver_s_workers_left_is_not_played_again(run: Run, tmp_path: Path) -> None:
    here(tmp_path)
    left = read_journal(tmp_path / "here.journal").trajectories
    own_folder(run.local, "run")
    record(run.local / "run" / "session0-1.journal", left[:20])
    record(run.local / "run" / "session0-2.journal", left[10:])
    run.play(policy=mistaken)  # whoever asks it ends the run
    assert rows(run.path) == rows(tmp_path / "here.journal")


def test_an_interrupt_keeps_what_was_played_and_another_machine_goes_on(
    run: Run, tmp_path: Path
) -> None:
    def interrupt(progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.play(policy=slow, progress=interrupt)
    first = rows(run.path)
    assert 0 < len(first) < len(MANY)
    with EnvironmentPool(Lock, 2) as pool:
        play(run.path, pool, MANY)
    assert set(first) < set(rows(run.path))
    assert rows(run.path) == here(tmp_path)


def test_the_budget_of_episodes_is_exact(run: Run) -> None:
    run.play(budget=Budget(episodes=7))
    assert len(rows(run.path)) == 7
    run.play(budget=Budget(episodes=9, wall_seconds=3600))
    assert len(rows(run.path)) == 9


def test_a_mistake_is_told_as_on_one_machine(run: Run) -> None:
    with pytest.raises(InvalidInput, match=r"^[^ ]+: random gave 0 turns for 2 episodes; a"):
        run.play(policy=mistaken)


def test_nobody_there_is_no_attempt(run: Run) -> None:
    with pytest.raises(ExplorationFailure, match=r"dials are missing\n3 .* used up no attempt"):
        run.play(pool=functools.partial(EnvironmentPool, Unstartable, 2))
    assert rows(run.path) == []


def test_machines_that_lose_one_worker_after_the_other_are_given_up(run: Run) -> None:
    with pytest.raises(ExplorationFailure, match=r"no machine of the cluster is left to play on: "):
        run.play(policy=deadly)
    assert sum("given up: 5 workers were lost" in words for words in run.told) == 2
    assert rows(run.path) == []


def test_kills_over_workers_and_driver_lose_nothing_and_nothing_is_twice(
    machines: Any, tmp_path: Path
) -> None:
    counts = kill_and_resume(tmp_path, machines.address, num_kills=4, seed=0)
    assert (counts.num_kills, counts.num_bad) == (4, 0), counts


@pytest.mark.slow
def test_two_hundred_kills(machines: Any, tmp_path: Path) -> None:
    counts = kill_and_resume(tmp_path, machines.address, num_kills=200, seed=1)
    assert (counts.num_kills, counts.num_bad) == (200, 0), counts
    assert isinstance(counts, ClusterKills)
    assert counts.num_of_driver > 20
    assert counts.num_of_workers > 100
