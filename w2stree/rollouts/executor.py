"""Who plays the plans of an exploration: environments of this process, or a cluster's workers.

                   ┌─ LocalExecutor            a pool of this process
    Exploration ───┤
                   └─ cluster.RayExecutor      a worker a machine, each with a pool of its own

What is played follows from the plans, whoever plays them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.policies.protocol import AsyncPolicy, ModelName, Policy
from w2stree.rollouts.counted import counted
from w2stree.rollouts.episode import Ended, EpisodePlan, Timed, untimed
from w2stree.rollouts.rollout import attempts

PolicyOf: TypeAlias = Callable[[ModelName], Policy | AsyncPolicy]
"""Makes the policy of a model."""

Part: TypeAlias = Callable[[Sequence[EpisodePlan]], Ended]
"""Plays plans, each once; yields their episodes as they end, in whatever order. Closing the
generator stops those that run."""


class Executor(Protocol):
    """Plays plans side by side; `len` of it is how many, at least 1."""

    def __len__(self) -> int: ...

    def part(self, model: ModelName, *, count_tokens: bool, timed: Timed = untimed) -> Part:
        """What plays that model's plans. With `count_tokens` a turn whose tokens nobody counts
        raises `InvalidInput`. `timed` is told when each was played, where the clock is this
        process's."""
        ...


class LocalExecutor:
    """Plays in the environments of a pool.

    `policy` gives the policy of a model when that model's part begins; `instruction` stands before
    every task's statement.
    """

    def __init__(self, pool: EnvironmentPool, policy: PolicyOf, *, instruction: str = "") -> None:
        self._pool, self._policy, self._instruction = pool, policy, instruction

    def __len__(self) -> int:
        return len(self._pool)

    def part(self, model: ModelName, *, count_tokens: bool, timed: Timed = untimed) -> Part:
        policy = self._policy(model)
        return functools.partial(
            attempts,
            self._pool,
            counted(policy) if count_tokens else policy,
            instruction=self._instruction,
            timed=timed,
        )
