"""Verification: the actions of recorded trajectories, taken again; do the answers agree?

    prompt ─ a1 ─ o1, r1 ─ … ─ an ─ on, rn     return, status        as recorded
    step 0   1                 n               n                     as replayed

An environment that passes is deterministic, and its logs are what the model saw.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.environments.hosting.process import EnvironmentProcess
from w2stree.environments.protocol import Info
from w2stree.errors import EnvironmentFailure
from w2stree.rollouts.side_by_side import in_slots
from w2stree.trajectories.returns import is_same
from w2stree.trajectories.trajectory import Trajectory
from w2stree.turns.react import is_unparsed


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


def verify(
    pool: EnvironmentPool, trajectories: Sequence[Trajectory]
) -> Iterator[tuple[Trajectory, list[Difference]]]:
    """Replay each trajectory; yields it with what differs, in the order given.

    One thread for each environment process. Cost: one reset and the recorded steps each.
    """

    def check(slot: int, trajectory: Trajectory) -> tuple[Trajectory, list[Difference]]:
        try:
            return trajectory, list(_differences(pool[slot], trajectory))
        except EnvironmentFailure as failure:
            pool.replace(slot)
            difference = _Replay(trajectory).difference(0, "failure", "an answer", failure)
            return trajectory, [difference]

    return in_slots(len(pool), trajectories, check)


@dataclass(frozen=True, slots=True)
class _Replay:
    trajectory: Trajectory

    def difference(self, step: int, what: str, recorded: Any, replayed: Any) -> Difference:
        t = self.trajectory
        sample = t.origin.sample_index or 0
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
        is_other = observation != step.observation
        if is_other and not is_unparsed(step.action, step.observation):
            yield differs(number, "observation", step.observation, observation)
        if step.reward is not None and not is_same(reward, step.reward):
            yield differs(number, "reward", step.reward, reward)
        if terminated or truncated:
            status = "done" if terminated else "truncated"
            break
    if number < last:
        yield differs(number, "status", f"{last} steps, then {trajectory.status}", status)
    elif status != (expected := _status_of_environment(trajectory)):
        yield differs(number, "status", expected, status)
    if not is_same(info["score"], trajectory.total_return):
        yield differs(number, "return", trajectory.total_return, info["score"])


def _status_of_environment(trajectory: Trajectory) -> str:
    """An episode that ended with the model's last position was not over."""
    return "running" if trajectory.origin.truncated_by else trajectory.status
