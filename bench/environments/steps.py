"""Steps a second of an environment in its process against the bare engine's own loop.

    python -m bench.environments.steps [--only scienceworld] [--rounds 5]

The bare loop is what one would write without us: the engine in this process, one task after the
other with the same recorded actions, on a JVM with the same options. Only stepping is timed, by
the clock on the wall: most of the work is another process's. Episodes are played in turn, ours
and the bare loop's, and each counts with the best of its rounds, after one round that warms both
JVMs up. The answers are asserted equal. The exit status is 1 when they differ or a ratio is below
the aim. Needs an idle core for each of the three processes that pass a step along.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from bench.equality import DifferentResultsError
from w2stree.environments import textworld_express
from w2stree.environments.hosting.process import EnvironmentProcess
from w2stree.environments.protocol import Environment
from w2stree.environments.scienceworld import ScienceWorld
from w2stree.environments.scienceworld import environment as scienceworld
from w2stree.environments.textworld_express import TextWorldExpress

AIM = 0.7
SCIENCE = ("find-plant/0", "power-component/10", "lifespan-longest-lived/93", "chemistry-mix/16")
COOKING = {"numLocations": 1, "numIngredients": 2, "includeDoors": 0}


class Bare(Protocol):
    def reset(self, task_id: str, *, gold: bool = False) -> None: ...

    def step(self, action: str) -> tuple[str, float]:
        """Returns (observation, score) as the engine gives them."""

    def tidy(self, observation: str) -> str:
        """What the adapter makes of the observation; not timed."""

    def close(self) -> None: ...


class BareScienceWorld:
    def __init__(self) -> None:
        self._engine = scienceworld._start_engine()

    def reset(self, task_id: str, *, gold: bool = False) -> None:
        _, name, variation = task_id.split("/")
        self._engine.server.load(name, int(variation), "easy", gold)

    def step(self, action: str) -> tuple[str, float]:
        server = self._engine.server
        observation, score, _ = server.step(action), server.getScore(), server.getCompleted()
        return observation, score

    def tidy(self, observation: str) -> str:
        return observation.strip()

    def close(self) -> None:
        self._engine.close()


class BareTextWorldExpress:
    def __init__(self) -> None:
        self._engine = textworld_express._start_engine()
        params = ", ".join(f"{name}={value}" for name, value in COOKING.items())
        self._engine.load("cookingworld", params)

    def reset(self, task_id: str, *, gold: bool = False) -> None:
        _, fold, seed = task_id.split("/")
        self._engine.reset(seed=int(seed), gameFold=fold, generateGoldPath=gold)

    def step(self, action: str) -> tuple[str, float]:
        observation, _, _, infos = self._engine.step(action)
        return observation, infos["score"]

    def tidy(self, observation: str) -> str:
        return textworld_express._tidy(observation)

    def close(self) -> None:
        self._engine.close()


Job = tuple[Callable[[], Environment], Callable[[], Bare], list[str]]
JOBS: dict[str, Job] = {
    "textworld_express": (
        functools.partial(TextWorldExpress, "cookingworld", COOKING, max_steps=1000),
        BareTextWorldExpress,
        [f"cookingworld/train/{seed}" for seed in range(30)],
    ),
    "scienceworld": (
        functools.partial(ScienceWorld, max_steps=1000),
        BareScienceWorld,
        [f"scienceworld/{name}" for name in SCIENCE],
    ),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.environments.steps")
    parser.add_argument("--only", choices=sorted(JOBS), help="one environment")
    parser.add_argument("--rounds", type=int, default=5, help="timed rounds (default: 5)")
    options = parser.parse_args()
    ratios = [
        _ratio(name, *job, options.rounds)
        for name, job in JOBS.items()
        if options.only in (None, name)
    ]
    return 0 if min(ratios) >= AIM else 1


def _ratio(
    name: str,
    factory: Callable[[], Environment],
    bare_engine: Callable[[], Bare],
    task_ids: Sequence[str],
    num_rounds: int,
) -> float:
    with EnvironmentProcess(factory) as process, contextlib.closing(bare_engine()) as bare:
        episodes = {task_id: _solution(process, task_id) for task_id in task_ids}
        for task_id in task_ids:
            bare.reset(task_id, gold=True)  # its JVM has then compiled as much as ours
        ours, theirs = dict.fromkeys(episodes, float("inf")), dict.fromkeys(episodes, float("inf"))
        for round_index in range(num_rounds + 1):
            for task_id, actions in episodes.items():
                process.call("reset", task_id)
                our_seconds, answers = _timed(lambda a: process.call("step", a), actions)
                bare.reset(task_id)
                bare_seconds, bare_answers = _timed(bare.step, actions)
                _assert_equal(bare, task_id, answers, bare_answers)
                if round_index > 0:
                    ours[task_id] = min(ours[task_id], our_seconds)
                    theirs[task_id] = min(theirs[task_id], bare_seconds)
    num_steps = sum(map(len, episodes.values()))
    our_rate, bare_rate = num_steps / sum(ours.values()), num_steps / sum(theirs.values())
    ratio = our_rate / bare_rate
    print(
        f"{name:<18} {num_steps} steps: ours {our_rate:,.0f} steps/s, bare {bare_rate:,.0f}, "
        f"ratio {ratio:.2f} (aim {AIM}), load {os.getloadavg()[0]:.1f}",
        flush=True,
    )
    return ratio


def _solution(process: EnvironmentProcess, task_id: str) -> list[str]:
    """The expert's actions up to the end: an engine need not answer beyond it."""
    process.call("reset", task_id)
    actions = [turn.action for turn in process.call("expert")]
    for i, action in enumerate(actions, start=1):
        if process.call("step", action)[2]:
            return actions[:i]
    return actions


def _timed(step: Callable[[str], Any], actions: Sequence[str]) -> tuple[float, list[Any]]:
    started = time.perf_counter()
    answers = [step(action) for action in actions]
    return time.perf_counter() - started, answers


def _assert_equal(bare: Bare, task_id: str, ours: list[Any], theirs: list[Any]) -> None:
    for i, (answer, (observation, score)) in enumerate(zip(ours, theirs, strict=True)):
        mine, its = (answer[0], answer[4]["score"]), (bare.tidy(observation), max(0.0, score))
        if mine != its:
            raise DifferentResultsError(f"{task_id}, step {i}: {mine!r}, the engine {its!r}")


if __name__ == "__main__":
    sys.exit(main())
