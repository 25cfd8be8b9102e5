"""An exploration as trace events: who played what and when, errors marked, nothing else changed."""

from __future__ import annotations

import functools
import json
import time
from pathlib import Path
from typing import Any

import pytest
from support.asynchronous import Asynchronous
from support.explorations import PLANS, play, rows
from support.lock import Lock
from support.trace_events import check

from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.errors import InvalidInput
from w2stree.policies.random import RandomPolicy
from w2stree.rollouts.executor import LocalExecutor
from w2stree.rollouts.exploration import Budget, Exploration
from w2stree.trajectories.journal import Journal, key_of, read_journal
from w2stree.trajectories.times import read_times
from w2stree.viewer.timeline import write_timeline

pytestmark = [
    pytest.mark.filterwarnings("ignore::w2stree.errors.IdenticalTrajectories"),
    pytest.mark.filterwarnings("ignore::w2stree.errors.SamplesUnfinished"),
]


def timeline(folder: Path, **options: Any) -> tuple[list[dict[str, Any]], int]:
    """The slices and instants of the episodes in `folder`, and how many were written."""
    trajectories = read_journal(folder / "j").trajectories
    times = read_times(folder / "times")
    written = write_timeline(trajectories, times, folder / "trace.json", **options)
    record = json.loads((folder / "trace.json").read_text(encoding="utf-8"))
    return check(record), written


def episodes(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [e for e in events if e["ph"] == "X" and e["cat"].startswith("episode")]


def test_every_episode_is_a_slice_with_its_turns(tmp_path: Path) -> None:
    before = time.time()
    with EnvironmentPool(Lock, 2) as pool:
        play(tmp_path / "j", pool, times=tmp_path / "times")
        play(tmp_path / "plain", pool)
    seconds = time.time() - before
    assert rows(tmp_path / "j") == rows(tmp_path / "plain"), "the episodes are the same to the byte"
    events, written = timeline(tmp_path)
    played = episodes(events)
    trajectories = read_journal(tmp_path / "j").trajectories
    assert written == len(played) == len(trajectories) == len(PLANS)
    assert {e["tid"] for e in played} == {1, 2} and {e["pid"] for e in played} == {1}
    assert sum(e["dur"] for e in played) <= 2 * seconds * 1e6
    names = {f"{t.task_id}, sample {t.origin.sample_index}" for t in trajectories}
    assert {e["name"] for e in played} == names
    inner = [e for e in events if e["ph"] == "X" and not e["cat"].startswith("episode")]
    steps = [step for t in trajectories for step in t.steps]
    assert len(inner) == len(trajectories) + 2 * len(steps)
    assert sorted(e["name"] for e in inner if e["cat"] == "environment") == sorted(
        [*(step.action for step in steps), *("reset" for _ in trajectories)]
    )


def test_sessions_and_errors_are_told_apart(tmp_path: Path) -> None:
    factory = functools.partial(Lock, failing=("lock/1",), num_failures=99, memory=tmp_path)
    with EnvironmentPool(factory, 1) as pool:
        options: dict[str, Any] = {"times": tmp_path / "times", "max_attempts": 1}
        play(tmp_path / "j", pool, budget=Budget(episodes=4), **options)
        play(tmp_path / "j", pool, **options)
    events, written = timeline(tmp_path)
    played = episodes(events)
    assert written == len(PLANS) and {e["pid"] for e in played} == {1, 2}
    failed = [e for e in played if e["cat"] == "episode,error"]
    assert len(failed) == 3 and all("jammed" in e["args"]["error"] for e in failed)
    marks = [e for e in events if e["ph"] == "i"]
    assert len(marks) == 3 and all("jammed" in e["name"] for e in marks)
    ends = {(e["pid"], e["ts"] + e["dur"]) for e in failed}
    assert {(e["pid"], e["ts"]) for e in marks} == ends
    fails = [e for e in events if e["name"] == "fails"]
    assert len(fails) == 3 and {(e["pid"], e["ts"] + e["dur"]) for e in fails} == ends


def test_a_policy_that_answers_each_alone(tmp_path: Path) -> None:
    with EnvironmentPool(Lock, 2) as pool, Journal(tmp_path / "j") as journal:
        exploration = Exploration(
            journal,
            LocalExecutor(pool, lambda _: Asynchronous(RandomPolicy())),
            times=tmp_path / "times",
        )
        exploration.play(PLANS)
    events, written = timeline(tmp_path)
    assert written == len(PLANS)
    assert {e["tid"] for e in episodes(events)} == {1, 2}


def test_times_that_are_missing_torn_or_none(tmp_path: Path) -> None:
    with EnvironmentPool(Lock, 1) as pool:
        play(tmp_path / "j", pool, budget=Budget(episodes=2))
        play(tmp_path / "j", pool, times=tmp_path / "times")
    file = tmp_path / "times"
    assert len(read_times(file)) == len(PLANS) - 2
    whole = file.read_bytes()
    file.write_bytes(whole[:-5])
    _, written = timeline(tmp_path)
    assert written == len(PLANS) - 3, "a torn last line is of an episode without times"
    file.write_bytes(b'{"session": 1}\n' + whole)
    with pytest.raises(InvalidInput, match=r"times:1: no times of an episode; delete that line"):
        read_times(file)
    keys = {key_of(t) for t in read_journal(tmp_path / "j").trajectories}
    file.write_bytes(whole + whole)
    assert {*read_times(file)} < keys
