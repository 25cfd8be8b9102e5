"""Who plays the plans of an exploration: environments of this process, or a cluster's workers.

                   ┌─ LocalExecutor            a pool of this process
    Exploration ───┤
                   └─ cluster.RayExecutor      a worker a machine, each with a pool of its own

What is played follows from the plans, whoever plays them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.policies.protocol import AsyncPolicy, ModelName, Policy
from w2stree.rollouts.counted import counted
from w2stree.rollouts.episode import Ended, EpisodePlan, Timed, untimed
from w2stree.rollouts.rollout import attempts
from w2stree.trajectories.journal import Journal

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


@dataclass(frozen=True, slots=True)
class Equipped:
    """What a machine needs to play: makers, not things, which are sent there.

    `num_processes`: the environments of a `pool`. `on_gpus`: whether the policy computes where it
    plays. `instruction` stands before every task's statement.
    """

    pool: Callable[[], EnvironmentPool]
    policy: PolicyOf
    num_processes: int
    on_gpus: bool
    instruction: str = ""


class Cluster(Protocol):
    """Other machines that play (`cluster.ray_cluster`)."""

    def executor(
        self, equipped: Equipped, journal: Journal, *, run: str
    ) -> AbstractContextManager[Executor]:
        """What plays into a journal, within the block; leaving it puts what the machines have
        beside that into the journal. `run` names the journals that they keep."""
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
