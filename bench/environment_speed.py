"""What a process of its own costs an environment: steps in process and through the pipe.

    python -m bench.environment_speed

The same TextWorldExpress episodes both ways, in turns, so that other load hits both; medians of
the time by step, resets included, and the pipe's bare round trip.
"""

from __future__ import annotations

import functools
import statistics
import time
from collections.abc import Callable
from typing import Any

from bench.environment_faults import Fine
from w2stree.environments.process import EnvironmentProcess
from w2stree.environments.textworld_express import TextWorldExpress

_NUM_EPISODES = 150
_NUM_CALLS = 10_000
_FACTORY = functools.partial(TextWorldExpress, "cookingworld", max_steps=50)


def main() -> None:
    with EnvironmentProcess(Fine, memory_limit_mb=512) as idle:
        idle.call("reset", "task")
        calls = [_seconds(idle.call, "step", "go") for _ in range(_NUM_CALLS)]
    print(f"round trip: {statistics.median(calls) * 1e6:.0f} us")
    engine = _FACTORY()

    def directly(method: str, *args: Any) -> Any:
        return getattr(engine, method)(*args)

    with EnvironmentProcess(_FACTORY, memory_limit_mb=512) as process:
        own, through = [], []
        for seed in range(_NUM_EPISODES):
            own.append(_seconds_a_step(directly, seed))
            through.append(_seconds_a_step(process.call, seed))
    engine.close()
    ours, theirs = statistics.median(through), statistics.median(own)
    print(f"in process: {1 / theirs:.0f} steps/s; through the pipe: {1 / ours:.0f} steps/s")
    print(f"ratio: {theirs / ours:.2f}")


def _seconds(call: Callable[..., Any], *args: Any) -> float:
    started = time.perf_counter()
    call(*args)
    return time.perf_counter() - started


def _seconds_a_step(call: Callable[..., Any], seed: int) -> float:
    started = time.perf_counter()
    _, info = call("reset", f"cookingworld/train/{seed}")
    number, is_over = 0, False
    while not is_over:
        actions = info["admissible_actions"]
        number += 1
        action = actions[(seed + 13 * number) % len(actions)]
        _, _, terminated, truncated, info = call("step", action)
        is_over = terminated or truncated
    return (time.perf_counter() - started) / number


if __name__ == "__main__":
    main()
