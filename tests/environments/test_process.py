"""Processes that fail in every way a game can, and drivers that end in every way they can."""

from __future__ import annotations

import functools
import os
import re
import signal
import threading
import time
from typing import Any

import pytest

from bench.faults.failing_environments import (
    Dies,
    Ending,
    Fine,
    HasChild,
    HoldsTheLock,
    Leaks,
    Sleeps,
    end_driver,
    survivors,
)
from w2stree.environments.hosting import guardian
from w2stree.environments.hosting.limits import Limits
from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.environments.hosting.process import EnvironmentProcess
from w2stree.environments.protocol import Snapshot
from w2stree.errors import EnvironmentFailure, InvalidInput
from w2stree.policies.protocol import Sampling
from w2stree.policies.random import RandomPolicy
from w2stree.rollouts.rollout import EpisodePlan, rollout


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"deadline_s": 0}, "deadline_s is 0; give a number above 0"),
        ({"start_deadline_s": float("nan")}, "start_deadline_s is nan"),
        ({"memory_limit_mb": 0}, "memory_limit_mb is 0; give at least 1, or null for no limit"),
        ({"max_episodes": -1}, "max_episodes is -1"),
    ],
)
def test_limits_that_nothing_can_meet_are_refused(limits: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Limits(**limits)


@pytest.mark.parametrize("environment", [Sleeps, HoldsTheLock, HasChild])
def test_a_hang_is_a_failure_and_leaves_nothing_behind(environment: Any) -> None:
    with EnvironmentProcess(environment, Limits(deadline_s=1)) as process:
        process.call("reset", "task 7")
        with pytest.raises(EnvironmentFailure, match=f"{environment.__name__}, task 7.*within 1 s"):
            process.call("step", "go")
        assert survivors([process.pid]) == []


def test_the_failure_tells_the_last_words_on_stderr() -> None:
    with EnvironmentProcess(Sleeps, Limits(deadline_s=1)) as process:
        process.call("reset", "task")
        with pytest.raises(EnvironmentFailure, match=r"stderr: the game is stuck$"):
            process.call("step", "go")
    with EnvironmentProcess(Dies) as process:
        process.call("reset", "task")
        message = r"process ended \(exit status 3\); it last wrote to stderr: out of cheese$"
        with pytest.raises(EnvironmentFailure, match=message):
            process.call("step", "go")
        assert survivors([process.pid]) == []


def test_a_child_killed_in_the_middle_of_a_step_is_a_failure() -> None:
    with EnvironmentProcess(Sleeps) as process:
        process.call("reset", "task")
        process.send("step", "go")
        threading.Timer(0.3, os.kill, (process.pid, signal.SIGKILL)).start()
        with pytest.raises(EnvironmentFailure, match=r"its process ended \(killed by SIGKILL\)"):
            process.receive()
        assert survivors([process.pid]) == []
        with pytest.raises(EnvironmentFailure, match="its process ended"):
            process.call("reset", "task")  # a failed one stays failed


class NeverUp(Fine):
    def __init__(self) -> None:
        time.sleep(600)


def test_an_environment_that_does_not_start_is_a_failure() -> None:
    with EnvironmentProcess(NeverUp, Limits(start_deadline_s=3)) as process:
        with pytest.raises(EnvironmentFailure, match=r"NeverUp, task.*no answer within 3 s"):
            process.call("reset", "task")
        assert survivors([process.pid]) == []


@pytest.mark.parametrize("action", ["go", "endless"])
def test_leaking_over_the_cap_is_a_failure_between_steps_and_within_one(action: str) -> None:
    with EnvironmentProcess(Leaks, Limits(memory_limit_mb=300)) as process:
        process.call("reset", "task")
        with pytest.raises(EnvironmentFailure, match="memory_limit_mb is 300") as failure:
            for _ in range(500):
                process.call("step", action)
        used = re.search(r"it uses (\d+) MiB", str(failure.value))
        assert used
        assert 300 < int(used[1]) < 1500
        assert survivors([process.pid]) == []


def test_under_the_cap_nothing_happens() -> None:
    with EnvironmentProcess(Leaks, Limits(memory_limit_mb=2000)) as process:
        process.call("reset", "task")
        for _ in range(20):
            process.call("step", "go")
        time.sleep(0.6)
        assert process.call("step", "go")[0] == "on"


def test_a_failing_environment_is_an_error_row_and_the_others_go_on() -> None:
    plans = [EpisodePlan(task, 0, Sampling(), 0) for task in ("good", "bad", "good too")]
    with EnvironmentPool(FailsOnBad, 2) as pool:
        played = {t.task_id: t for t in rollout(pool, RandomPolicy(), plans, instruction="")}
    assert played["bad"].status == "error"
    assert "RuntimeError: out of fuel" in str(played["bad"].origin.error)
    assert played["good"].status == played["good too"].status == "done"
    assert played["good"].total_return == 1.0


class FailsOnBad:
    def reset(self, task_id: str) -> Any:
        self.task_id = task_id
        return "start", {"score": 0.0, "admissible_actions": ["go"]}

    def step(self, action: str) -> Any:
        if self.task_id == "bad":
            raise RuntimeError("out of fuel")
        return "end", 1.0, True, False, {"score": 1.0, "admissible_actions": []}

    def close(self) -> None:
        pass


def test_a_leaking_environment_costs_its_episode_and_no_other() -> None:
    plans = [EpisodePlan(f"task {i}", 0, Sampling(), 0) for i in range(3)]
    with EnvironmentPool(LeaksOnTask1, 1, Limits(memory_limit_mb=300)) as pool:
        played = list(rollout(pool, RandomPolicy(), plans, instruction=""))
    assert [t.status for t in played] == ["done", "error", "done"]
    assert "memory_limit_mb is 300" in str(played[1].origin.error)


class LeaksOnTask1(Leaks):
    def reset(self, task_id: str) -> Any:
        self._task_id = task_id
        return super().reset(task_id)

    def step(self, action: str) -> Any:
        if self._task_id == "task 1":
            return super().step("endless")
        return "end", 1.0, True, False, {"score": 1.0, "admissible_actions": []}


def test_a_process_is_recycled_at_the_reset_after_its_last_episode() -> None:
    with EnvironmentPool(Fine, 1, Limits(max_episodes=2)) as pool:
        pids = []
        for episode in range(5):
            pool[0].call("reset", f"task {episode}")
            pool[0].call("step", "go")
            pids.append(pool[0].pid)
        assert pids[0] == pids[1] != pids[2] == pids[3] != pids[4]
        assert survivors(pids[:4]) == []


def test_every_environment_has_snapshots() -> None:
    with EnvironmentProcess(Fine) as process:
        process.call("reset", "task")
        process.call("step", "go")
        snapshot = process.call("snapshot")
        assert snapshot == Snapshot("task", ("go",), ("on",))
        assert process.call("restore", snapshot)[0] == "on"
        with pytest.raises(EnvironmentFailure, match=r"step 1 .* answers 'on'; .* has 'off'"):
            process.call("restore", Snapshot("task", ("go",), ("off",)))


def test_closing_twice_and_using_a_closed_one_are_harmless() -> None:
    process = EnvironmentProcess(Fine)
    process.call("reset", "task")
    pid = process.pid
    process.close()
    process.close()
    assert survivors([pid], within_s=1) == []
    with pytest.raises(EnvironmentFailure, match="is closed"):
        process.call("reset", "task")


def test_a_factory_that_cannot_be_sent_is_named() -> None:
    with pytest.raises(InvalidInput, match="cannot be sent to a process"):
        EnvironmentProcess(lambda: Fine())


def test_a_pool_of_hung_processes_closes_side_by_side() -> None:
    with EnvironmentPool(HoldsTheLock, 3) as pool:
        for slot in range(3):
            pool[slot].call("reset", "task")
            pool[slot].send("step", "go")
        pids = [pool[slot].pid for slot in range(3)]
        started = time.monotonic()
    assert time.monotonic() - started < 10  # not three times the grace of five seconds
    assert survivors(pids) == []


@pytest.mark.parametrize("ending", ["return", "exception", "SIGTERM", "SIGINT", "SIGKILL"])
@pytest.mark.parametrize("kind", ["Fine", "HoldsTheLockForGood", "HasChild"])
def test_no_process_outlives_its_driver(kind: str, ending: Ending) -> None:
    before, after, stderr = end_driver(kind, ending)
    assert len(before) >= 4  # two children, two guardians
    assert after == []
    if ending in ("exception", "SIGINT"):
        assert stderr.count("Traceback") == 1  # the driver's own
    else:
        assert stderr == ""


@pytest.mark.java
@pytest.mark.parametrize("ending", ["return", "SIGKILL"])
def test_no_jvm_outlives_its_driver(ending: Ending) -> None:
    pytest.importorskip("textworld_express")
    before, after, _ = end_driver("TextWorldExpress", ending)
    assert sum("java" in line for line in before) == 2
    assert after == []


@pytest.mark.java
def test_the_cap_counts_the_jvm_and_a_killed_jvm_is_a_failure() -> None:
    pytest.importorskip("textworld_express")
    from w2stree.environments.textworld_express import TextWorldExpress

    factory = functools.partial(TextWorldExpress, "coin")
    with EnvironmentProcess(factory) as process:
        process.call("reset", "coin/train/0")
        used = guardian._memory_by_proc(process.pid)
        assert guardian._memory_by_ps(process.pid) == pytest.approx(used, rel=0.05)
        (java,) = (int(line.split()[1]) for line in survivors([process.pid], within_s=0)
                   if "java" in line)  # fmt: skip
        os.kill(java, signal.SIGKILL)
        with pytest.raises(EnvironmentFailure, match="Py4J"):
            process.call("step", "look around")
        assert survivors([process.pid]) == []
    cap = int(used) - 20  # less than it uses, more than the Python child alone
    with (
        EnvironmentProcess(
            functools.partial(TextWorldExpress, "coin"), Limits(memory_limit_mb=cap)
        ) as process,
        pytest.raises(EnvironmentFailure, match=f"memory_limit_mb is {cap}"),
    ):
        for seed in range(1000):
            process.call("reset", f"coin/train/{seed}")
