"""What a message of Ray's costs a driver, beside what is in it.

ask ──> actor, which answers at once ──> get         a round trip; seconds of the driver's threads
wait on answers that do not come                     seconds for each of them
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import Any

import ray

_ANSWER = bytes(8_000)  # about an episode of some twenty turns


@dataclass(frozen=True, slots=True)
class Messages:
    """Seconds. `round_trip`: the median, by the clock. `answer_cpu`: of the driver, for one asked
    and got. `look_cpu`: of the driver, for each answer that it waits for, each time it looks."""

    round_trip: float
    answer_cpu: float
    look_cpu: float


def messages(*, num_calls: int, num_waited: int) -> Messages:
    """By one actor on the Ray that this process is connected to."""
    actor = ray.remote(_Worker).options(num_cpus=0, max_concurrency=num_waited + 1).remote()
    ray.get(actor.news.remote())
    taken, cpu = [], time.process_time()
    for _ in range(num_calls):
        begin = time.monotonic()
        ray.get(actor.news.remote())
        taken.append(time.monotonic() - begin)
    answer_cpu = (time.process_time() - cpu) / num_calls
    waited = [actor.never.remote() for _ in range(num_waited)]
    ray.wait(waited, num_returns=1, timeout=1.0)
    cpu = time.process_time()
    for _ in range(num_calls):  # as `Crew.answers` does: for one, then for all that are there
        ray.wait(waited, num_returns=1, timeout=0)
        ray.wait(waited, num_returns=num_waited, timeout=0)
    look_cpu = (time.process_time() - cpu) / num_calls / num_waited
    ray.kill(actor)
    return Messages(statistics.median(taken), answer_cpu, look_cpu)


class _Worker:
    async def news(self) -> bytes:
        return _ANSWER

    async def never(self) -> Any:
        import asyncio

        await asyncio.Event().wait()
