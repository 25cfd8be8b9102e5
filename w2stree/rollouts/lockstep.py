"""Rollouts in lockstep: every running episode gets its turn from one call of the policy."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from itertools import islice

from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.errors import EnvironmentFailure, InvalidInput, ModelFailure
from w2stree.policies.protocol import Policy
from w2stree.rollouts.episode import (
    Ended,
    EpisodePlan,
    Exchange,
    RunningEpisode,
    Timed,
    Unplayed,
    untimed,
)
from w2stree.trajectories.trajectory import Status, Trajectory


def play_lockstep(
    pool: EnvironmentPool,
    policy: Policy,
    plans: Sequence[EpisodePlan],
    *,
    instruction: str,
    timed: Timed = untimed,
) -> Ended:
    """Play the plans in waves of the pool's size, each wave until its last episode ends."""
    key = 0
    remaining = iter(plans)
    while wave := list(islice(remaining, len(pool))):
        # Episodes of a wave share one cache, so they start together (TransformersPolicy.act).
        running = [
            RunningEpisode(plan, slot=slot, key=key + slot, instruction=instruction)
            for slot, plan in enumerate(wave)
        ]
        yield from _Wave(pool, policy, running, timed).play()
        key += len(wave)


class _Wave:
    def __init__(
        self, pool: EnvironmentPool, policy: Policy, running: list[RunningEpisode], timed: Timed
    ) -> None:
        self._pool, self._policy, self._running, self._timed = pool, policy, running, timed

    def play(self) -> Iterator[Trajectory | Unplayed]:
        self._pool.start(len(self._running))
        with_expert = self._policy.needs_expert
        yield from self._exchange([r.begin(with_expert=with_expert) for r in self._running])
        while self._running:
            turns = self._policy.act([r.episode for r in self._running])
            if len(turns) != len(self._running):
                raise InvalidInput(
                    f"{self._policy.name} gave {len(turns)} turns for {len(self._running)} "
                    "episodes; a policy answers each, in order"
                )
            answered = []
            failed = []
            for running, said in zip(self._running, turns, strict=True):
                turn = running.hear(said)
                if isinstance(turn, ModelFailure):
                    failed.append(self._end(running, running.fail(turn)))
                else:
                    answered.append((running, turn))
            self._running = [running for running, _ in answered]
            yield from failed
            yield from self._exchange([running.advance(turn) for running, turn in answered])

    def _exchange(self, exchanges: Sequence[Exchange]) -> Iterator[Trajectory | Unplayed]:
        """Carry the running episodes' exchanges out side by side; yields those that end."""
        try:
            status = self._carry_out(exchanges)
        except BaseException:
            # Answers may be unread, which the next to ask would take for its own.
            self._pool.drop(running.slot for running in self._running)
            raise
        ended = [(r, s) for r in self._running if (s := status[r]) is not None]
        self._running = [r for r in self._running if status[r] is None]
        # Only now that every answer is read: whoever consumes this may stop in the middle.
        for running, how in ended:
            yield self._end(running, how)

    def _carry_out(self, exchanges: Sequence[Exchange]) -> dict[RunningEpisode, Status | None]:
        """Each running episode's status after its exchange."""
        status: dict[RunningEpisode, Status | None] = {}
        waiting = [(r, e, next(e)) for r, e in zip(self._running, exchanges, strict=True)]
        while waiting:
            # Ask every environment, then read every answer: the environments work in parallel.
            for running, _, call in waiting:
                with self._failing(running):
                    self._pool[running.slot].send(*call)
            asked, waiting = waiting, []
            for running, exchange, _ in asked:
                if running.error is None:
                    with self._failing(running):
                        answer = self._pool[running.slot].receive()
                        try:
                            waiting.append((running, exchange, exchange.send(answer)))
                        except StopIteration as stop:
                            status[running] = stop.value
                if running.error is not None:
                    status[running] = "error"
        return status

    def _end(self, running: RunningEpisode, status: Status) -> Trajectory | Unplayed:
        self._policy.forget(running.episode.key)
        ended = running.ended(status, self._policy)
        self._timed(running.times)
        return ended

    @contextlib.contextmanager
    def _failing(self, running: RunningEpisode) -> Iterator[None]:
        try:
            yield
        except EnvironmentFailure as failure:
            running.fail(failure)
            self._pool.replace(running.slot)
