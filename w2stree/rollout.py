"""Rollouts: a policy plays tasks in a pool of environments, many episodes in lockstep."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import numpy as np

from w2stree.environment import Info
from w2stree.environments.pool import EnvironmentPool
from w2stree.errors import EnvironmentFailure
from w2stree.policy import AgentTurn, Episode, Policy, Sampling
from w2stree.react import UNPARSED, parse_action
from w2stree.trajectory import Message, Status, Step, Trajectory


@dataclass(frozen=True, slots=True)
class EpisodePlan:
    """One rollout to make. Its random stream depends on run seed, task and sample alone.

    `attempt` counts tries after errors of environment or model; every try draws the same, so
    that a run's samples do not depend on what failed. A `prefix` means: start from the state
    these steps of another trajectory of the task lead to; they become the trajectory's first.
    """

    task_id: str
    sample_index: int
    sampling: Sampling
    seed: int
    attempt: int = 0
    prefix: tuple[Step, ...] = ()

    def rng(self) -> np.random.Generator:
        name = f"{self.seed}/{self.task_id}/{self.sample_index}".encode()
        return np.random.default_rng(list(hashlib.sha256(name).digest()))


def rollout(
    pool: EnvironmentPool, policy: Policy, plans: Sequence[EpisodePlan], *, instruction: str
) -> Iterator[Trajectory]:
    """Play every plan once; yields trajectories as they end, `info` naming their plan.

    A failing environment process ends its episode with status `error` and the cause in
    `info["error"]`, and is replaced; it is never counted as a failed trajectory.
    """
    key = 0
    remaining = iter(plans)
    while wave := list(islice(remaining, len(pool))):
        # Episodes of a wave share one cache, so they start together (policy.act).
        yield from _Wave(pool, policy, wave, instruction, key).play()
        key += len(wave)


@dataclass(slots=True)
class _Running:
    """An episode in its environment's slot."""

    slot: int
    plan: EpisodePlan
    episode: Episode
    score: float = 0.0
    turn: AgentTurn | None = None
    action: str | None = None
    error: str | None = None

    def trajectory(self, status: Status, policy_info: Mapping[str, str]) -> Trajectory:
        plan = self.plan
        how = {"sample_index": plan.sample_index, "attempt": plan.attempt, "seed": plan.seed}
        cause = {} if self.error is None else {"error": self.error}
        return Trajectory(
            task_id=plan.task_id,
            prompt=self.episode.prompt,
            steps=tuple(self.episode.steps),
            total_return=self.score,
            status=status,
            info={**how, **asdict(plan.sampling), **policy_info, **cause},
        )


class _Wave:
    def __init__(
        self,
        pool: EnvironmentPool,
        policy: Policy,
        plans: Sequence[EpisodePlan],
        instruction: str,
        first_key: int,
    ) -> None:
        self._pool, self._policy, self._instruction = pool, policy, instruction
        self._running = [
            _Running(slot, plan, Episode(first_key + slot, (), plan.sampling, plan.rng(), []))
            for slot, plan in enumerate(plans)
        ]

    def play(self) -> Iterator[Trajectory]:
        yield from self._reset()
        while self._running:
            turns = self._policy.act([r.episode for r in self._running])
            for running, turn in zip(self._running, turns, strict=True):
                running.turn, running.action = turn, parse_action(turn.response)
            yield from self._step()

    def _reset(self) -> Iterator[Trajectory]:
        self._pool.start(len(self._running))

        def begin(running: _Running, reply: tuple[str, Info]) -> Status | None:
            statement, info = reply
            running.episode.prompt = opening(self._instruction, statement)
            running.episode.admissible_actions = info["admissible_actions"]
            return None

        yield from self._exchange(lambda r: ("reset", r.plan.task_id), begin)

    def _step(self) -> Iterator[Trajectory]:
        def advance(running: _Running, reply: tuple[str, float, bool, bool, Info]) -> Status | None:
            observation, reward, terminated, truncated, info = reply
            turn, episode = running.turn, running.episode
            assert turn is not None
            if running.action is None:
                observation = UNPARSED
            episode.steps.append(
                Step(
                    running.action or "",
                    observation,
                    turn.response,
                    turn.token_ids,
                    turn.logprobs,
                    reward,
                )
            )
            episode.admissible_actions = info["admissible_actions"]
            running.score = info["score"]
            return "done" if terminated else "truncated" if truncated else None

        yield from self._exchange(lambda r: ("step", r.action or ""), advance)

    def _exchange(
        self,
        request: Callable[[_Running], tuple[str, str]],
        digest: Callable[[_Running, Any], Status | None],
    ) -> Iterator[Trajectory]:
        """Ask every environment, then read every answer; the environments work in parallel."""
        for running in self._running:
            with self._failing(running):
                self._pool[running.slot].send(*request(running))
        ended, still_running = [], []
        for running in self._running:
            status: Status | None = "error"
            if running.error is None:
                with self._failing(running):
                    status = digest(running, self._pool[running.slot].receive())
            if status is None:
                still_running.append(running)
            else:
                self._policy.forget(running.episode.key)
                ended.append(running.trajectory(status, self._policy.info))
        self._running = still_running
        # Only now that every answer is read: whoever consumes this may stop in the middle.
        yield from ended

    @contextlib.contextmanager
    def _failing(self, running: _Running) -> Iterator[None]:
        try:
            yield
        except EnvironmentFailure as failure:
            running.error = str(failure)
            self._pool.replace(running.slot)


def opening(instruction: str, statement: str) -> tuple[Message, ...]:
    """The messages before the first action: how to act, then the task and what is seen."""
    return (Message("user", f"{instruction}\n{statement}" if instruction else statement),)
