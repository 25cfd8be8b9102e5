"""Rollouts: a policy plays tasks in a pool of environments, many episodes at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing

from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.errors import InvalidInput
from w2stree.policies.protocol import AsyncPolicy, Policy
from w2stree.rollouts.asynchronous import play_async
from w2stree.rollouts.episode import Ended, EpisodePlan, Timed, Unplayed, opening, untimed
from w2stree.rollouts.lockstep import play_lockstep
from w2stree.trajectories.trajectory import Trajectory, refuse_wordless

__all__ = ["EpisodePlan", "Unplayed", "attempts", "opening", "rollout"]


def rollout(
    pool: EnvironmentPool,
    policy: Policy | AsyncPolicy,
    plans: Sequence[EpisodePlan],
    *,
    instruction: str,
) -> Iterator[Trajectory]:
    """Play every plan once; yields trajectories as they end, their origin naming the plan.

    A `Policy` plays as many episodes as the pool has environments in lockstep, one batch a
    turn; with an `AsyncPolicy` every episode goes on as soon as its own answer is there.

    A failing environment process ends its episode with status `error` and the cause in
    `origin.error`, and is replaced; a `ModelFailure` does so too, and the environment stays.
    Neither is ever counted as a failed trajectory. A `ContextExceeded` ends it as `truncated`,
    with the cause in `origin.truncated_by`. Stop early by closing the iterator. Raises
    `InvalidInput` for a policy that lacks a part of its protocol, and for a plan that starts from
    steps whose words are not known (`Step.is_worded`), where a model is to read them.
    """
    return _recorded(attempts(pool, policy, plans, instruction=instruction))


def _recorded(attempts: Ended) -> Iterator[Trajectory]:
    with closing(attempts):
        for attempt in attempts:
            yield attempt.trajectory if isinstance(attempt, Unplayed) else attempt


def attempts(
    pool: EnvironmentPool,
    policy: Policy | AsyncPolicy,
    plans: Sequence[EpisodePlan],
    *,
    instruction: str,
    timed: Timed = untimed,
) -> Ended:
    """As `rollout`, and tells an episode that could not begin or go on because nobody was there, a
    process that does not start or a server that cannot be reached, from an error. `timed` is told
    when each was played."""
    if isinstance(policy, AsyncPolicy | Policy):
        for plan in plans if policy.tokenizer is not None else ():
            refuse_wordless(plan.prefix, f"task {plan.task_id!r}")
        plans = [plan.read_by(policy.tokenizer) for plan in plans]
    if isinstance(policy, AsyncPolicy):
        return play_async(pool, policy, plans, instruction=instruction, timed=timed)
    if isinstance(policy, Policy):
        return play_lockstep(pool, policy, plans, instruction=instruction, timed=timed)
    raise InvalidInput(
        f"{type(policy).__name__} is no policy; it needs `name`, `tokenizer`, `needs_expert`, and "
        "`act` and `forget`, or `turn` and `close` (w2stree.policies.protocol)"
    )
