"""`kill -9` of a real `w2stree explore`, at random moments, again and again."""

from __future__ import annotations

import contextlib
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from bench.faults.endings import left
from w2stree.trajectories.journal import read_journal

# More tasks than the small game has distinct ones: what is lost is counted, nothing is learned.
_PLAYS = (
    "policy.by_verb=false", "branching=null", "environment.num_processes=2", "tasks.distinct=false"
)  # fmt: skip


@dataclass(slots=True)
class KillCounts:
    """Over all kills. Acknowledged: whole frames in the journal just before a kill.

    `num_lost` of them were not in the file after it, or later; `num_duplicated` were recorded
    twice; `num_different` rows of finished runs are not the uninterrupted run's;
    `num_orphans` processes outlived their driver by two minutes: for good.
    """

    num_kills: int = 0
    num_before_first: int = 0
    num_torn: int = 0
    num_runs: int = 0
    num_acknowledged: int = 0
    num_lost: int = 0
    num_duplicated: int = 0
    num_different: int = 0
    num_orphans: int = 0
    seconds: float = field(default=0.0, compare=False)


def kill_and_resume(folder: Path, *, num_kills: int, seed: int, num_tasks: int) -> KillCounts:
    """Kill explorations of `num_tasks` × 6 episodes, resuming each until it is complete.

    Every complete run is compared with one that nobody interrupted. One kill in five comes within
    three seconds of a start, mostly while Java starts; the others shortly after up to fifty
    more episodes were written.
    """
    counts, moments = KillCounts(), random.Random(seed)
    began = time.monotonic()
    for number in count():
        run_dir = folder / f"run-{number}"
        _one_run(run_dir, counts, moments, num_kills=num_kills, seed=number, num_tasks=num_tasks)
        counts.num_runs += 1
        if counts.num_kills == num_kills:
            counts.seconds = time.monotonic() - began
            return counts
    raise AssertionError


def _one_run(
    run_dir: Path,
    counts: KillCounts,
    moments: random.Random,
    *,
    num_kills: int,
    seed: int,
    num_tasks: int,
) -> None:
    """One exploration to its end, killed on the way as often as chance has it."""
    journal = run_dir / "episodes.journal"
    acknowledged: list[bytes] = []
    is_complete = False
    while not is_complete:
        driver = _start(run_dir, seed, num_tasks)
        if counts.num_kills == num_kills:
            driver.wait()
        else:
            _wait_for_the_moment(driver, journal, len(acknowledged), moments)
        is_complete = driver.poll() is not None
        if not is_complete:
            children = list(_children(driver.pid))
            acknowledged = _frames(journal)
            counts.num_before_first += not acknowledged
            driver.send_signal(signal.SIGKILL)
            driver.wait()
            counts.num_kills += 1
            counts.num_acknowledged += len(acknowledged)
            counts.num_torn += bool(journal.exists() and read_journal(journal).num_torn_bytes)
            counts.num_orphans += len(_outliving(children))
            if counts.num_kills % 20 == 0:
                print(f"  {counts}", file=sys.stderr, flush=True)
        counts.num_lost += _num_missing(acknowledged, _frames(journal))
    assert driver.returncode == 0, f"{run_dir}: exit status {driver.returncode}"
    frames = _frames(journal)
    keys = [(t.task_id, t.origin.sample_index) for t in read_journal(journal).trajectories]
    counts.num_duplicated += len(keys) - len(set(keys))
    whole = run_dir.with_name(f"{run_dir.name}-whole")
    assert _start(whole, seed, num_tasks).wait() == 0
    counts.num_different += len(set(frames) ^ set(_frames(whole / "episodes.journal")))


def _wait_for_the_moment(
    driver: subprocess.Popen[bytes], journal: Path, num_before: int, moments: random.Random
) -> None:
    """Until the moment of the next kill, or the driver's end."""
    if moments.random() < 0.2:
        after, delay_s = 0, moments.uniform(0.1, 3.0)
    else:
        after, delay_s = moments.randint(1, 50), moments.uniform(0.0, 0.05)
    while driver.poll() is None and len(_frames(journal)) < num_before + after:
        time.sleep(0.005)
    time.sleep(delay_s)


def _start(run_dir: Path, seed: int, num_tasks: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "w2stree", "explore", "textworld_random"]
    command += ["--run-dir", str(run_dir), f"seed={seed}", f"tasks.count={num_tasks}", *_PLAYS]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _frames(journal: Path) -> list[bytes]:
    """The file's whole lines, byte for byte."""
    if not journal.exists():
        return []
    *whole, _ = journal.read_bytes().split(b"\n")
    return whole


def _num_missing(before: list[bytes], now: list[bytes]) -> int:
    present = set(now)
    return sum(frame not in present for frame in before)


def _children(pid: int) -> Iterator[int]:
    """Processes below a process, Java included."""
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield int(child)
                yield from _children(int(child))


def _outliving(pids: list[int]) -> list[int]:
    return left(lambda: [pid for pid in pids if _is_alive(pid)])


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
