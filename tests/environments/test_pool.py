"""Pools of environments: one that fails costs its episode, and they close side by side."""

from __future__ import annotations

import pytest
from support.failing import FailsOnBad, LeaksOnTask1

from bench.faults.failing_environments import Fine, HoldsTheLock, survivors
from w2stree.environments.hosting.limits import Limits
from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.environments.hosting.process import EnvironmentProcess
from w2stree.policies.protocol import Sampling
from w2stree.policies.random import RandomPolicy
from w2stree.rollouts.rollout import EpisodePlan, rollout


def test_a_failing_environment_is_an_error_row_and_the_others_go_on() -> None:
    plans = [EpisodePlan(task, 0, Sampling(), 0) for task in ("good", "bad", "good too")]
    with EnvironmentPool(FailsOnBad, 2) as pool:
        played = {t.task_id: t for t in rollout(pool, RandomPolicy(), plans, instruction="")}
    assert played["bad"].status == "error"
    assert "RuntimeError: out of fuel" in str(played["bad"].origin.error)
    assert played["good"].status == played["good too"].status == "done"
    assert played["good"].total_return == 1.0


def test_a_leaking_environment_costs_its_episode_and_no_other() -> None:
    plans = [EpisodePlan(f"task {i}", 0, Sampling(), 0) for i in range(3)]
    with EnvironmentPool(LeaksOnTask1, 1, Limits(memory_limit_mb=300)) as pool:
        played = list(rollout(pool, RandomPolicy(), plans, instruction=""))
    assert [t.status for t in played] == ["done", "error", "done"]
    assert "memory_limit_mb is 300" in str(played[1].origin.error)


def test_a_process_is_recycled_at_the_reset_after_its_last_episode() -> None:
    with EnvironmentPool(Fine, 1, Limits(max_episodes=2)) as pool:
        pids = []
        for episode in range(5):
            pool[0].call("reset", f"task {episode}")
            pool[0].call("step", "go")
            pids.append(pool[0].pid)
        assert pids[0] == pids[1] != pids[2] == pids[3] != pids[4]
        assert survivors(pids[:4]) == []


def test_a_pool_of_hung_processes_closes_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    """All are told to end before the first is waited for: one grace, not three."""
    close = EnvironmentProcess.close
    told: list[list[bool]] = []

    def note(process: EnvironmentProcess) -> None:
        told.append([each._is_hung_up for each in processes])
        close(process)

    monkeypatch.setattr(EnvironmentProcess, "close", note)
    with EnvironmentPool(HoldsTheLock, 3) as pool:
        processes = [pool[slot] for slot in range(3)]
        for process in processes:
            process.call("reset", "task")
            process.send("step", "go")
    assert told == [[True] * 3] * 3
    assert survivors([process.pid for process in processes]) == []
