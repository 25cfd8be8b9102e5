"""Runs that one known step lost, among other runs of their task: what a bisection must find.

    expert with noise   a1  x   a2  a3  a4  a5        succeeded, with a detour (x)
    planted             a1  x   a2  H   …             H: an action that the game offers, from which
                                                      its own solution is lost and before which not
    other runs          ten of the expert with more noise, some of which fail by mistakes of theirs

A fault is checked by play before it counts: without noise the expert wins from before it, and loses
from after it, twice; the run with it goes on with noise, and failed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.environments.protocol import Snapshot
from w2stree.policies.expert import ExpertPolicy
from w2stree.policies.protocol import Sampling
from w2stree.rollouts.rollout import EpisodePlan, rollout
from w2stree.trajectories.trajectory import Step, Trajectory
from w2stree.turns.react import render_turn

NOISE = 0.2
_DETOURS = 0.15  # noise of the run that the fault is planted in
_MOST_ACTIONS = 6  # tried at one place
_LEAST_AFTER = 2  # steps that follow the fault

TWC = {"numLocations": 1, "numItemsToPutAway": 2, "includeDoors": 0}
TWC_ROOMS = {"numLocations": 2, "numItemsToPutAway": 2, "includeDoors": 0}
COOKING = {"numLocations": 1, "numIngredients": 2, "numDistractorItems": 2, "includeDoors": 0}
GAMES: tuple[tuple[str, dict[str, int], int], ...] = (
    ("twc", TWC, 20),
    ("twc", TWC_ROOMS, 24),
    ("cookingworld", COOKING, 30),
)
"""Name, settings, most steps."""


@dataclass(frozen=True, slots=True)
class Planted:
    """`runs[0]` is the one with the fault, at step `step` (from 1)."""

    runs: list[Trajectory]
    step: int


def planted(
    pool: EnvironmentPool, task_ids: Sequence[str], *, num_others: int = 10, seed: int = 0
) -> Iterator[Planted]:
    """One fault a task; tasks in which none could be planted are passed over."""
    for task_id in task_ids:
        rng = Random(f"{seed}/{task_id}")
        (base,) = _played(pool, task_id, [seed], noise=_DETOURS)
        if base.status != "done" or base.total_return < 1.0:
            continue
        if (found := _with_a_fault(pool, base, rng)) is not None:
            others = _played(pool, task_id, range(100, 100 + num_others), noise=NOISE)
            kept = [run for run in others if run.status != "error"]
            yield Planted([found[0], *kept], found[1])


def _with_a_fault(
    pool: EnvironmentPool, base: Trajectory, rng: Random
) -> tuple[Trajectory, int] | None:
    places = list(range(len(base.steps)))
    rng.shuffle(places)
    for place in places:
        before = base.steps[:place]
        if not all(_wins(run) for run in _played(pool, base.task_id, [7], before)):
            continue
        for step in _offered(pool, base, place, rng):
            with_it = (*before, step)
            if any(_wins(run) for run in _played(pool, base.task_id, [8, 9], with_it)):
                continue
            (run,) = _played(pool, base.task_id, [10], with_it, noise=NOISE)
            if not _wins(run) and run.status != "error" and len(run.steps) > place + _LEAST_AFTER:
                return replace(run, origin=replace(run.origin, prefix_length=0)), place + 1
    return None


def _offered(pool: EnvironmentPool, base: Trajectory, place: int, rng: Random) -> Iterator[Step]:
    """Other actions than the run's at a place, as steps that do not end the episode."""
    before = base.steps[:place]
    process = pool[0]
    _, info = _at(process, base.task_id, before)
    actions = [a for a in info["admissible_actions"] if a != base.steps[place].action]
    rng.shuffle(actions)
    for action in actions[:_MOST_ACTIONS]:
        _at(process, base.task_id, before)
        observation, reward, terminated, truncated, _ = process.call("step", action)
        if not (terminated or truncated):
            yield Step(action, observation, render_turn("", action), reward=reward)


def _at(process: Any, task_id: str, before: Sequence[Step]) -> Any:
    process.call("reset", task_id)
    actions = tuple(step.action for step in before)
    return process.call(
        "restore", Snapshot(task_id, actions, tuple(step.observation for step in before))
    )


def _played(
    pool: EnvironmentPool,
    task_id: str,
    samples: Sequence[int],
    before: Sequence[Step] = (),
    *,
    noise: float = 0.0,
) -> list[Trajectory]:
    """In the order of the samples."""
    plans = [EpisodePlan(task_id, k, Sampling(), seed=11, prefix=tuple(before)) for k in samples]
    runs = rollout(pool, ExpertPolicy(noise=noise), plans, instruction="")
    return sorted(runs, key=lambda run: run.origin.sample_index or 0)


def _wins(run: Trajectory) -> bool:
    return run.status != "error" and run.total_return >= 1.0
