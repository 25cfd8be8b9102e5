"""Snapshots by replay: the state after some actions is reached by taking them again."""

from __future__ import annotations

from typing import cast

from w2stree.environments.protocol import (
    Environment,
    ExpertEnvironment,
    ExpertTurn,
    Info,
    Snapshot,
    SnapshotEnvironment,
)
from w2stree.errors import EnvironmentFailure, InvalidInput
from w2stree.shorten import quoted
from w2stree.trajectories import fields
from w2stree.turns.react import UNPARSED

_SHOWN_COLUMNS = 120


class Replayable:
    """Any environment with `snapshot` and `restore`; all else is the environment's own.

    `restore` costs one reset and one step for each action, and compares every answer with the
    snapshot's: an engine that is not deterministic is found out instead of branching from a
    state that never was.
    """

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._task_id: str | None = None
        self._actions: list[str] = []
        self._observations: list[str] = []

    def tasks(self, split: str) -> list[str]:
        return self._environment.tasks(split)

    def reset(self, task_id: str) -> tuple[str, Info]:
        self._task_id = None  # a reset that fails leaves no state to snapshot
        answer = self._environment.reset(task_id)
        self._task_id = task_id
        self._forget()
        return answer

    def step(self, action: str) -> tuple[str, float, bool, bool, Info]:
        answer = self._environment.step(action)
        self._actions.append(action)
        # What is no answer to a step, the driver refuses: there is no going on from it.
        self._observations.append(answer[0] if answer and isinstance(answer, tuple | list) else "")
        return answer

    def expert(self) -> list[ExpertTurn]:
        if not hasattr(self._environment, "expert"):
            raise InvalidInput(
                f"{type(self._environment).__name__} has no expert: give it a method `expert` "
                "(docs/environments.md), or play it by another policy"
            )
        turns = cast(ExpertEnvironment, self._environment).expert()
        self._forget()  # it leaves the task at its start
        return turns

    def close(self) -> None:
        self._environment.close()

    def snapshot(self) -> Snapshot:
        if self._task_id is None:
            raise EnvironmentFailure("no task is loaded; call reset(task_id) first")
        return Snapshot(self._task_id, tuple(self._actions), tuple(self._observations))

    def restore(self, snapshot: Snapshot) -> tuple[str, Info]:
        observation, info = self.reset(snapshot.task_id)
        recorded = zip(snapshot.actions, snapshot.observations, strict=True)
        for number, (action, expected) in enumerate(recorded, start=1):
            observation, *_, info = self.step(action)
            if expected == UNPARSED:
                self._observations[-1] = observation = expected
            # What comes back from the driver has halves that meet as one character.
            elif fields.text(observation, "observation") != fields.text(expected, "observation"):
                raise EnvironmentFailure(
                    f"{snapshot.task_id}: replayed step {number} ({action!r}) answers "
                    f"{quoted(observation, _SHOWN_COLUMNS)}; "
                    f"the snapshot has {quoted(expected, _SHOWN_COLUMNS)}"
                )
        return observation, info

    def _forget(self) -> None:
        self._actions, self._observations = [], []


def with_snapshots(environment: Environment) -> SnapshotEnvironment:
    """The environment itself where it has its own `snapshot` and `restore`, else `Replayable`."""
    if hasattr(environment, "snapshot") and hasattr(environment, "restore"):
        return cast(SnapshotEnvironment, environment)
    return Replayable(environment)
