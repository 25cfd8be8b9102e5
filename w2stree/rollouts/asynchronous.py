"""Rollouts where every episode proceeds on its own: for policies that answer asynchronously.

slot 0  [ reset ][ turn ][ step ][ turn        ][ step ] │ [ reset ][ turn ]…
slot 1  [ reset ][ turn     ][ step ][ turn ][ step ][ turn ]…
        policy's turns on the event loop, the environment's calls in threads
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.environments.hosting.process import EnvironmentProcess
from w2stree.errors import EnvironmentFailure, InvalidInput, ModelFailure
from w2stree.policies.protocol import AsyncPolicy
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


def play_async(
    pool: EnvironmentPool,
    policy: AsyncPolicy,
    plans: Sequence[EpisodePlan],
    *,
    instruction: str,
    timed: Timed = untimed,
) -> Ended:
    """Play the plans, as many at once as the pool has environments.

    The event loop is this generator's own and runs while the consumer waits for the next
    trajectory. Closing the generator, or Ctrl-C, cancels what is asked of the model and
    replaces the environments that were in the middle of an answer. Raises `InvalidInput` where the
    thread runs another loop, as a notebook's does: it would stand still meanwhile.
    """
    _refuse_another_loop()
    with asyncio.Runner() as runner:
        players = _Players(pool, policy, plans, instruction, timed)
        runner.run(players.start())
        try:
            for _ in plans:
                yield runner.run(players.next())
        finally:
            runner.run(players.stop())


def _refuse_another_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise InvalidInput(
        "an event loop runs in this thread (a notebook has one), which episodes would stop: play "
        "in a thread of their own, `await asyncio.to_thread(function_that_plays)`"
    )


class _Players:
    """One task for each environment of the pool; together they work through the plans."""

    def __init__(
        self,
        pool: EnvironmentPool,
        policy: AsyncPolicy,
        plans: Sequence[EpisodePlan],
        instruction: str,
        timed: Timed,
    ) -> None:
        self._pool, self._policy, self._instruction = pool, policy, instruction
        self._timed = timed
        self._size = min(len(pool), len(plans))
        self._plans = enumerate(plans)
        self._tasks: list[asyncio.Task[None]] = []
        self._interrupted: list[
            int
        ] = []  # slots whose environments were in the middle of an answer
        self._ended: asyncio.Queue[Trajectory | Unplayed | BaseException] = asyncio.Queue()

    async def start(self) -> None:
        if not self._size:
            return
        self._pool.start(self._size)
        threads = ThreadPoolExecutor(self._size, thread_name_prefix="environment")
        asyncio.get_running_loop().set_default_executor(threads)
        self._tasks = [asyncio.create_task(self._play(slot)) for slot in range(self._size)]

    async def next(self) -> Trajectory | Unplayed:
        """The next trajectory to end; raises what is the user's mistake or ours."""
        ended = await self._ended.get()
        if isinstance(ended, BaseException):
            raise ended
        return ended

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._pool.drop(self._interrupted)
        await self._policy.close()

    async def _play(self, slot: int) -> None:
        try:
            for key, plan in self._plans:
                running = RunningEpisode(plan, slot=slot, key=key, instruction=self._instruction)
                status = await self._status(running)
                ended = running.ended(status, self._policy)
                self._timed(running.times)
                self._ended.put_nowait(ended)
        except Exception as error:  # whoever waits for a trajectory is told
            self._ended.put_nowait(error)

    async def _status(self, running: RunningEpisode) -> Status:
        """Play one episode to its end."""
        exchange = running.begin(with_expert=self._policy.needs_expert)
        try:
            while (status := await self._environment(running.slot, exchange)) is None:
                turn = running.hear(await self._policy.turn(running.episode))
                if isinstance(turn, ModelFailure):
                    raise turn
                exchange = running.advance(turn)
        except ModelFailure as failure:
            return running.fail(failure)
        except EnvironmentFailure as failure:
            self._pool.replace(running.slot)
            return running.fail(failure)
        return status

    async def _environment(self, slot: int, exchange: Exchange) -> Status | None:
        process = self._pool[slot]
        try:
            return await asyncio.to_thread(_carry_out, process, exchange)
        except asyncio.CancelledError:
            # The thread still waits for an answer that nobody wants: this ends its wait. The end of
            # the process is waited for later, of all of them side by side.
            process.hang_up()
            self._interrupted.append(slot)
            raise


def _carry_out(process: EnvironmentProcess, exchange: Exchange) -> Status | None:
    call = next(exchange)
    while True:
        answer = process.call(*call)
        try:
            call = exchange.send(answer)
        except StopIteration as stop:
            status: Status | None = stop.value
            return status
