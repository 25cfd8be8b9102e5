"""`kill -9` of the workers and the driver of `w2stree explore --engine ray`, again and again.

python -m bench.faults.cluster_kills [NUM_KILLS]      starts a cluster of two machines here
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import yaml

from w2stree.trajectories.journal import read_journal

_REPOSITORY = Path(__file__).resolve().parents[2]
_NUM_TASKS = 60
_OF_DRIVER = 0.25
_LOOK_S = 0.05
_CONFIGURATION = {
    "name": "kills",
    "environment": {
        "name": "gymnasium",
        "make": "bench.faults.cluster_game:walk",
        "num_processes": 2,
        "max_steps": 20,
    },
    "tasks": {"count": _NUM_TASKS},
    "policy": {"name": "random"},
    "samplings": [{}, {"temperature": 0.5}, {"model": "base"}],
}


@dataclass(slots=True)
class ClusterKills:
    """Over all kills. Acknowledged: whole frames in the run's journal just before a kill.

    `num_lost` of them were not in the file later; `num_duplicated` samples were recorded twice;
    `num_different` rows of finished runs are not those of one machine; `num_left` episodes were on
    a machine's disk when a run had ended, and not in its journal.
    """

    num_kills: int = 0
    num_of_workers: int = 0
    num_of_driver: int = 0
    num_runs: int = 0
    num_acknowledged: int = 0
    num_lost: int = 0
    num_duplicated: int = 0
    num_different: int = 0
    num_left: int = 0
    seconds: float = field(default=0.0, compare=False)

    @property
    def num_bad(self) -> int:
        return self.num_lost + self.num_duplicated + self.num_different + self.num_left


def kill_and_resume(folder: Path, address: str, *, num_kills: int, seed: int) -> ClusterKills:
    """Kill explorations of 60 tasks × 3 episodes on the cluster at `address`, resuming each until
    it is complete, and compare each with one that one machine plays alone.

    One kill in four is the driver's. A kill comes after up to ten more episodes were written, on
    whatever disk, or, one in five, within a second of the last one.
    """
    counts, moments = ClusterKills(), random.Random(seed)
    began = time.monotonic()
    for number in count():
        _one_run(folder / f"run-{number}", address, counts, moments, num_kills, number)
        counts.num_runs += 1
        if counts.num_kills >= num_kills:
            counts.seconds = time.monotonic() - began
            return counts
    raise AssertionError


def _one_run(
    run: Path, address: str, counts: ClusterKills, moments: random.Random, most: int, seed: int
) -> None:
    run.mkdir(parents=True)
    local, journal = run / "local", run / "far" / "episodes.journal"
    arguments = ["--engine", "ray", "--local-dir", str(local)]
    acknowledged: list[bytes] = []
    driver = _start(run / "far", seed, address, *arguments)
    while driver.poll() is None:
        if counts.num_kills >= most:
            driver.wait()
            break
        _wait_for_the_moment(driver, [journal, local], moments)
        before = _frames(journal)
        counts.num_lost += len(set(acknowledged) - set(before))
        acknowledged = before
        if driver.poll() is not None:
            break
        if moments.random() < _OF_DRIVER:
            driver.kill()
            driver.wait()
            counts.num_of_driver += 1
            driver = _start(run / "far", seed, address, *arguments)
        elif pids := list(_workers(local)):
            with suppress(ProcessLookupError):
                os.kill(moments.choice(pids), signal.SIGKILL)
            counts.num_of_workers += 1
        else:
            continue
        counts.num_acknowledged += len(acknowledged)
        counts.num_kills += 1
        if counts.num_kills % 10 == 0:
            print(f"  {counts}", file=sys.stderr, flush=True)
    assert driver.returncode == 0, f"{run}: exit status {driver.returncode}: {_said(run)}"
    frames = _frames(journal)
    counts.num_lost += len(set(acknowledged) - set(frames))
    keys = [(t.task_id, t.origin.sample_index) for t in read_journal(journal).trajectories]
    counts.num_duplicated += len(keys) - len(set(keys))
    left = {frame for path in local.rglob("*.journal") for frame in _frames(path)}
    counts.num_left += len(left - set(frames))
    assert _start(run / "near", seed, address).wait() == 0
    counts.num_different += len(set(frames) ^ set(_frames(run / "near" / "episodes.journal")))


def _start(run_dir: Path, seed: int, address: str, *arguments: str) -> subprocess.Popen[bytes]:
    file = run_dir.with_suffix(".yaml")
    file.write_text(yaml.safe_dump(_CONFIGURATION), encoding="utf-8")
    command = [
        *(sys.executable, "-m", "w2stree", "explore", str(file), f"seed={seed}"),
        *("--run-dir", str(run_dir), *arguments),
    ]
    with run_dir.with_suffix(".log").open("ab") as log:
        where = {**os.environ, "RAY_ADDRESS": address}
        return subprocess.Popen(command, cwd=_REPOSITORY, stdout=log, stderr=log, env=where)


def _said(run: Path) -> str:
    return (run / "far.log").read_text(errors="replace")[-2000:]


def _wait_for_the_moment(
    driver: subprocess.Popen[bytes], places: list[Path], moments: random.Random
) -> None:
    """Until the moment of the next kill, or the driver's end."""
    if moments.random() < 0.2:
        more, delay_s = 0, moments.uniform(0.0, 1.0)
    else:
        more, delay_s = moments.randint(1, 10), moments.uniform(0.0, 0.1)
    before = sum(map(_num_frames, places))
    while driver.poll() is None and sum(map(_num_frames, places)) < before + more:
        time.sleep(_LOOK_S)
    time.sleep(delay_s)


def _num_frames(place: Path) -> int:
    files = place.rglob("*.journal") if place.is_dir() else [place]
    num_frames = 0
    for file in files:
        with suppress(FileNotFoundError):
            num_frames += file.read_bytes().count(b"\n")
    return num_frames


def _frames(journal: Path) -> list[bytes]:
    """Whole lines; a torn last one is none."""
    if not journal.exists():
        return []
    return journal.read_bytes().split(b"\n")[:-1]


def _workers(local: Path) -> Iterator[int]:
    """Process ids of the workers that have a journal."""
    for owner in local.rglob(".*.owner"):
        with suppress(FileNotFoundError, ValueError):
            yield json.loads(owner.read_text())["pid"]


def main() -> None:
    sys.path.insert(0, str(_REPOSITORY / "tests"))
    from support.ray_cluster import two_machines

    num_kills = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with two_machines() as cluster, tempfile.TemporaryDirectory() as folder:
        print(kill_and_resume(Path(folder), cluster.address, num_kills=num_kills, seed=0))


if __name__ == "__main__":
    main()
