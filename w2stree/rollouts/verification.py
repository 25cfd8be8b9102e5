"""Verification: the actions of recorded trajectories, taken again; do the answers agree?

    prompt ─ a1 ─ o1, r1 ─ … ─ an ─ on, rn     return, status        as recorded
    step 0   1                 n               n                     as replayed

An environment that passes is deterministic, and its logs are what the model saw.
"""

from __future__ import annotations

import json
import math
import queue
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from w2stree.config.environment import EnvironmentSection
from w2stree.environment import Info
from w2stree.environments.pool import EnvironmentPool
from w2stree.environments.process import EnvironmentProcess
from w2stree.errors import EnvironmentFailure, InvalidInput
from w2stree.react import UNPARSED
from w2stree.trajectory import Trajectory, read_trajectories

# Other games than the run's own environment, with settings of their own.
_OTHER_ENVIRONMENTS = ("random_play",)
_TOLERANCE = 1e-9  # of rewards and returns, which are sums of floats


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that a replay has otherwise. `step` counts from 1; 0 is the task statement.

    `what`: statement, observation, reward, return, status, or failure (the environment failed).
    """

    task_id: str
    sample_index: int
    step: int
    what: str
    recorded: str
    replayed: str


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """A run's environment and what was played in it; `skipped` names files that were not read."""

    environment: EnvironmentSection
    trajectories: list[Trajectory]
    skipped: list[Path]


def read_run(path: Path) -> RecordedRun:
    """Trajectories of a run directory, of one stage of it, or of one of its files.

    The environment is the `environment` of the `config.json` there or up to two folders above.
    Raises `InvalidInput` where there is none, `FileNotFoundError` without trajectories.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such run directory or file")
    section = _environment(path)
    files = _trajectory_files(path)
    skipped = [file for file in files if file.parent.name in _OTHER_ENVIRONMENTS]
    read = [read_trajectories(file) for file in files if file not in skipped]
    if not read:
        raise FileNotFoundError(f"{path}: no trajectories to replay")
    return RecordedRun(section, [t for trajectories in read for t in trajectories], skipped)


def verify(
    pool: EnvironmentPool, trajectories: Sequence[Trajectory]
) -> Iterator[tuple[Trajectory, list[Difference]]]:
    """Replay each trajectory; yields it with what differs, in the order given.

    One thread for each environment process. Cost: one reset and the recorded steps each.
    """
    free: queue.SimpleQueue[int] = queue.SimpleQueue()
    for slot in range(len(pool)):
        free.put(slot)

    def check(trajectory: Trajectory) -> tuple[Trajectory, list[Difference]]:
        slot = free.get()
        try:
            return trajectory, list(_differences(pool[slot], trajectory))
        except EnvironmentFailure as failure:
            pool.replace(slot)
            difference = _Replay(trajectory).difference(0, "failure", "an answer", failure)
            return trajectory, [difference]
        finally:
            free.put(slot)

    with ThreadPoolExecutor(len(pool)) as executor:
        try:
            yield from executor.map(check, trajectories)
        finally:
            executor.shutdown(cancel_futures=True)


@dataclass(frozen=True, slots=True)
class _Replay:
    trajectory: Trajectory

    def difference(self, step: int, what: str, recorded: Any, replayed: Any) -> Difference:
        t = self.trajectory
        sample = int(t.info.get("sample_index", 0))
        return Difference(t.task_id, sample, step, what, str(recorded), str(replayed))


def _differences(process: EnvironmentProcess, trajectory: Trajectory) -> Iterator[Difference]:
    differs = _Replay(trajectory).difference
    info: Info
    statement, info = process.call("reset", trajectory.task_id)
    asked = trajectory.prompt[-1].content if trajectory.prompt else statement
    if not asked.endswith(statement):  # an instruction may stand before it
        yield differs(0, "statement", asked[-len(statement) :], statement)
    status, number, last = "running", 0, len(trajectory.steps)
    for number, step in enumerate(trajectory.steps, start=1):
        observation, reward, terminated, truncated, info = process.call("step", step.action)
        is_unparsed = step.action == "" and step.observation == UNPARSED
        if not is_unparsed and observation != step.observation:
            yield differs(number, "observation", step.observation, observation)
        if step.reward is not None and not _is_close(step.reward, reward):
            yield differs(number, "reward", step.reward, reward)
        if terminated or truncated:
            status = "done" if terminated else "truncated"
            break
    if number < last:
        yield differs(number, "status", f"{last} steps, then {trajectory.status}", status)
    elif status != trajectory.status:
        yield differs(number, "status", trajectory.status, status)
    if not _is_close(info["score"], trajectory.total_return):
        yield differs(number, "return", trajectory.total_return, info["score"])


def _is_close(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=0.0, abs_tol=_TOLERANCE)


def _environment(path: Path) -> EnvironmentSection:
    for folder in (path, *path.resolve().parents[:2]):
        file = folder / "config.json"
        if file.is_file():
            break
    else:
        raise InvalidInput(
            f"{path}: no config.json there or in the two folders above; give a directory that "
            "`w2stree run` or `w2stree explore` made, or a file in it"
        )
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
        section: EnvironmentSection = TypeAdapter(EnvironmentSection).validate_python(
            config["environment"]
        )
    except (json.JSONDecodeError, KeyError, TypeError, ValidationError) as error:
        raise InvalidInput(f"{file}: no readable `environment` ({error})") from None
    return section


def _trajectory_files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    patterns = ("*.journal", "trajectories.jsonl", "*/trajectories.jsonl")
    found = (file for pattern in patterns for file in sorted(path.glob(pattern)))
    # A stage in the making has a hidden folder; its file may be torn.
    return [file for file in found if not file.parent.name.startswith(".")]
