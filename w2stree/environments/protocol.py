"""The environment protocol: Gymnasium's five-tuple, with text observations and actions.

A new environment is a class with these four methods (and, where it has one, `expert`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NotRequired, Protocol, TypedDict

from w2stree.errors import InvalidInput


class Info(TypedDict):
    """What an environment says beside the observation.

    `score`: G so far, normalised by the adapter to [0, 1]; the last one is the return.
    `admissible_actions`: sorted, every action the environment would accept now.
    `raw_score`: the environment's own score, where the adapter cut it to get into [0, 1].
    `multi_line`: whether an action may have several lines (a file's text, a program), as the reset
    says it; one line where it does not. So much of an agent's turn is its action.
    """

    score: float
    admissible_actions: list[str]
    raw_score: NotRequired[float]
    multi_line: NotRequired[bool]


@dataclass(frozen=True, slots=True)
class ExpertTurn:
    """One turn of a demonstration: why (may be empty) and what."""

    thought: str
    action: str


class Environment(Protocol):
    """A POMDP with text observations and actions.

    Errors of the environment itself are raised as `EnvironmentFailure`; an action it does
    not understand is no error but a step with an observation that says so.
    """

    def tasks(self, split: str) -> list[str]:
        """Task ids of `split` (train, dev or test), always in the same order."""

    def reset(self, task_id: str) -> tuple[str, Info]:
        """Start `task_id`: the task statement with the first observation, and its info."""

    def step(self, action: str) -> tuple[str, float, bool, bool, Info]:
        """Returns (observation, reward, terminated, truncated, info).

        `reward` is the change of `info["score"]`; `terminated` the environment's own end,
        `truncated` the step limit.
        """

    def close(self) -> None:
        """Free what the environment holds; safe to call twice."""


class ExpertEnvironment(Environment, Protocol):
    """An environment that can demonstrate its tasks."""

    def expert(self) -> list[ExpertTurn]:
        """A solution of the current task from its start state; leaves the task at its start."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A state, named by the way to it: the actions since reset and what each was answered.

    `observations[i]` answers `actions[i]`; `UNPARSED` of `turns.react` there stands for a turn
    without an action (it was played as ""), and says nothing of the environment's own answer.
    """

    task_id: str
    actions: tuple[str, ...] = ()
    observations: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.actions) != len(self.observations):
            raise InvalidInput(
                f"snapshot of {self.task_id}: {len(self.actions)} actions but "
                f"{len(self.observations)} observations; give one for each"
            )


class SnapshotEnvironment(Environment, Protocol):
    """An environment that can go back to a state it was in, of this instance or another.

    An engine that cannot is wrapped by `environments.hosting.replay.Replayable`.
    """

    def snapshot(self) -> Snapshot:
        """The current state; raises `EnvironmentFailure` before the first reset."""

    def restore(self, snapshot: Snapshot) -> tuple[str, Info]:
        """Go to that state: its last observation (the statement without actions) and info.

        Raises `EnvironmentFailure` if the state reached is not the snapshot's.
        """
