"""Explorations of the lock: three tasks, three samplings each, by random play."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.policies.protocol import Sampling
from w2stree.policies.random import RandomPolicy
from w2stree.rollouts.executor import LocalExecutor
from w2stree.rollouts.exploration import Exploration, plan_episodes
from w2stree.rollouts.rollout import EpisodePlan
from w2stree.trajectories.journal import Journal, read_journal

TASKS = ["lock/0", "lock/1", "lock/2"]
PLANS = plan_episodes(TASKS, [Sampling(), Sampling(0.5), Sampling(model="base")], seed=5)


def random_policy(model: str) -> RandomPolicy:
    return RandomPolicy()


def play(
    path: Path, pool: EnvironmentPool, plans: Sequence[EpisodePlan] = PLANS, **options: Any
) -> Exploration:
    with Journal(path) as journal:
        exploration = Exploration(journal, LocalExecutor(pool, random_policy), **options)
        exploration.play(plans)
    return exploration


def rows(path: Path) -> list[str]:
    """Every recorded attempt, whatever the order they ended in."""
    return sorted(t.to_json() for t in read_journal(path).trajectories)
