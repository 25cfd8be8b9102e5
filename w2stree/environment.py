"""The environment protocol: Gymnasium's five-tuple, with text observations and actions.

A new environment is a class with these four methods (and, where it has one, `expert`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypedDict


class Info(TypedDict):
    """What an environment says beside the observation.

    `score`: G so far, normalised by the adapter to [0, 1]; the last one is the return.
    `admissible_actions`: sorted, every action the environment would accept now.
    """

    score: float
    admissible_actions: list[str]


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
