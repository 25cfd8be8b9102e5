"""Environment processes that fail in every way a game can."""

from __future__ import annotations

import functools
import os
import re
import signal
import threading
import time
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import pytest
from support.failing import Floods, Halves, Killed, NeverUp

from bench.faults.failing_environments import (
    Dies,
    Fine,
    HasChild,
    HoldsTheLock,
    Leaks,
    Sleeps,
    survivors,
)
from w2stree.environments.hosting import guardian
from w2stree.environments.hosting.limits import Limits
from w2stree.environments.hosting.process import EnvironmentProcess
from w2stree.environments.protocol import Snapshot
from w2stree.errors import EnvironmentFailure, InvalidInput

MANY = 100_000
"""Steps of an environment that has to fail some time: no test waits for ever."""


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"deadline_s": 0}, "deadline_s is 0; give a finite number above 0"),
        ({"start_deadline_s": float("nan")}, "start_deadline_s is nan"),
        ({"deadline_s": float("inf")}, "deadline_s is inf; give a finite number above 0"),
        ({"memory_limit_mb": 0}, "memory_limit_mb is 0; give at least 1, or null for no limit"),
        ({"max_episodes": -1}, "max_episodes is -1"),
    ],
)
def test_limits_that_nothing_can_meet_are_refused(limits: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Limits(**limits)


@pytest.mark.parametrize("environment", [Sleeps, HoldsTheLock, HasChild])
def test_a_hang_is_a_failure_and_leaves_nothing_behind(environment: Any) -> None:
    # Only what hangs is asked under the deadline: a busy machine may be slow to answer the rest.
    with EnvironmentProcess(environment, Limits(deadline_s=1)) as process:
        with pytest.raises(EnvironmentFailure, match=rf"{environment.__name__}\).*within 1 s"):
            process.call("step", "go")
        assert survivors([process.pid]) == []


def test_the_failure_tells_the_last_words_on_stderr() -> None:
    with (
        EnvironmentProcess(Sleeps, Limits(deadline_s=1)) as process,
        pytest.raises(EnvironmentFailure, match=r"last wrote: the game is stuck$"),
    ):
        process.call("step", "go")
    with EnvironmentProcess(Dies) as process:
        process.call("reset", "task")
        message = r"process ended \(exit status 3\); it last wrote: out of cheese$"
        with pytest.raises(EnvironmentFailure, match=message):
            process.call("step", "go")
        assert survivors([process.pid]) == []


def test_output_without_end_does_not_keep_the_guardian_from_its_watch() -> None:
    with EnvironmentProcess(Floods) as process:
        process.call("reset", "task")
        process.call("step", "go")
        for _ in range(6_000):  # its processes may not have begun
            if process._group.ask(60).output:
                break
            time.sleep(0.01)
        for _ in range(20):
            assert process._group.ask(60).output.endswith("x")
    assert survivors([process.pid]) == []


def test_a_child_killed_in_the_middle_of_a_step_is_a_failure() -> None:
    with EnvironmentProcess(Killed) as process:
        process.call("reset", "task")
        with pytest.raises(EnvironmentFailure, match=r"its process ended \(killed by SIGKILL\)"):
            process.call("step", "go")
        assert survivors([process.pid]) == []
        with pytest.raises(EnvironmentFailure, match="its process ended"):
            process.call("reset", "task")  # a failed one stays failed


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
            for _ in range(MANY):
                process.call("step", action)
        used = re.search(r"it uses (\d+) MiB", str(failure.value))
        assert used
        assert 300 < int(used[1]) < 1000  # it leaks 512 at most
        assert survivors([process.pid]) == []


def test_under_the_cap_nothing_happens() -> None:
    with EnvironmentProcess(Leaks, Limits(memory_limit_mb=2000)) as process:
        process.call("reset", "task")
        for _ in range(20):
            process.call("step", "go")
        for _ in range(2):  # the guardian measures after each answer: it has once now
            process._group.ask(60)
        assert process.call("step", "go")[0] == "on"


def test_every_environment_has_snapshots() -> None:
    with EnvironmentProcess(Fine) as process:
        process.call("reset", "task")
        process.call("step", "go")
        snapshot = process.call("snapshot")
        assert snapshot == Snapshot("task", ("go",), ("on",))
        assert process.call("restore", snapshot)[0] == "on"
        with pytest.raises(EnvironmentFailure, match=r"step 1 .* answers 'on'; .* has 'off'"):
            process.call("restore", Snapshot("task", ("go",), ("off",)))


def test_a_snapshot_with_halves_of_characters_leads_back() -> None:
    with EnvironmentProcess(Halves) as process:
        process.call("reset", "task")
        answered = process.call("step", "\ude00")[0]
        snapshot = process.call("snapshot")
        assert snapshot == Snapshot("task", ("\ude00",), (answered,))
        assert process.call("restore", snapshot)[0] == answered
        assert process.call("snapshot") == snapshot


def test_closing_twice_and_using_a_closed_one_are_harmless() -> None:
    process = EnvironmentProcess(Fine)
    process.call("reset", "task")
    pid = process.pid
    process.close()
    process.close()
    assert survivors([pid]) == []
    with pytest.raises(EnvironmentFailure, match="is closed"):
        process.call("reset", "task")


def test_an_answer_that_nobody_received_is_not_taken_for_the_next_one() -> None:
    with EnvironmentProcess(Sleeps) as process:
        process.call("reset", "task")
        process.send("step", "go")
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            process.receive()
        interrupted = process.pid
        for _ in range(2):
            with pytest.raises(EnvironmentFailure, match="answer to step was not received"):
                process.call("snapshot")
        assert process.call("reset", "another")[0] == "start"
        assert process.pid != interrupted
        assert survivors([interrupted]) == []
    process.send("reset", "task")
    with pytest.raises(EnvironmentFailure, match="is closed"):
        process.receive()


def test_a_factory_that_cannot_be_sent_is_named() -> None:
    with pytest.raises(InvalidInput, match="cannot be sent to a process"):
        EnvironmentProcess(functools.partial(Fine, threading.Lock()))


@pytest.mark.java
def test_the_cap_counts_the_jvm_and_a_killed_jvm_is_a_failure() -> None:
    pytest.importorskip("textworld_express")
    from w2stree.environments.textworld_express import TextWorldExpress

    factory = functools.partial(TextWorldExpress, "coin")
    with EnvironmentProcess(factory) as process:
        process.call("reset", "coin/train/0")
        os.killpg(process.pid, signal.SIGSTOP)  # nothing is allocated between the two
        used = guardian._memory_by_proc(process.pid)
        assert guardian._memory_by_ps(process.pid) == pytest.approx(used, rel=0.05)
        os.killpg(process.pid, signal.SIGCONT)
        (java,) = (int(line.split()[1]) for line in survivors([process.pid], within_s=0)
                   if "java" in line)  # fmt: skip
        os.kill(java, signal.SIGKILL)
        with pytest.raises(EnvironmentFailure, match="Py4J"):
            process.call("step", "look around")
        assert survivors([process.pid]) == []
    with EnvironmentProcess(Fine) as process:
        process.call("reset", "task")
        without_java = guardian._memory_by_proc(process.pid)
    cap = int(without_java + used) // 2
    with (
        EnvironmentProcess(
            functools.partial(TextWorldExpress, "coin"), Limits(memory_limit_mb=cap)
        ) as process,
        pytest.raises(EnvironmentFailure, match=f"memory_limit_mb is {cap}"),
    ):
        for seed in islice(cycle(range(1000)), MANY):
            process.call("reset", f"coin/train/{seed}")


def test_memory_that_cannot_be_measured_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ps").write_text("#!/bin/sh\necho mount /proc >&2; exit 47\n", encoding="utf-8")
    (tmp_path / "ps").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OSError, match=r"^ps ended with status 47: mount /proc$"):
        guardian._memory_by_ps(os.getpgrp())
