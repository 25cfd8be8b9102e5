"""Ways to spend environment steps on a task whose runs are there.

    recombined   what runs did is tried where other runs came
    guided       whatever is offered is tried, in the order that the runs suggest
    branched     the policy plays on from nodes of the runs' tree where outcomes differ
    resampled    the policy plays more runs
    unguided     best-first search among all that the environment offers; runs tell it nothing

All pay for what they play: a step of the policy, of a replay, of a way back.
"""

from __future__ import annotations

import itertools
import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.policies.protocol import Policy, Sampling
from w2stree.rollouts.branching import plan_branches
from w2stree.rollouts.recombination.plain_search import search_plainly
from w2stree.rollouts.recombination.recombine import Tried, recombine
from w2stree.rollouts.recombination.states import recorded
from w2stree.rollouts.rollout import EpisodePlan, rollout
from w2stree.trajectories.returns import at_least
from w2stree.trajectories.trajectory import Trajectory

GUIDED_BY_RUNS: tuple[tuple[str, Tried], ...] = (("recombined", "seen"), ("guided", "all"))


@dataclass(frozen=True, slots=True)
class Found:
    """The best that is known of a task, its runs included, after so many more environment steps:
    the best return of an episode, and the highest score on the way of one."""

    best_return: float
    best_on_the_way: float
    num_steps: int


@dataclass(frozen=True, slots=True)
class Row:
    """An arm at a budget: means over tasks, and how many have a return of 1 (or reach it)."""

    arm: str
    budget: int
    best_return: float
    best_on_the_way: float
    num_solved: int
    num_tasks: int
    num_steps: float


def rows(
    pool: EnvironmentPool,
    runs: Sequence[Trajectory],
    policy: Policy,
    samplings: Sequence[Sampling],
    *,
    budgets: Sequence[int],
    seed: int,
    instruction: str = "",
) -> Iterator[Row]:
    """Each arm at each budget, environment steps a task; the runs alone first, at 0.

    Episodes of a policy are nested: those of a smaller budget are the first ones of a greater.
    """
    by_task = finished(runs)
    yield row("runs", 0, {task: known(of_task) for task, of_task in by_task.items()})
    for arm, actions in GUIDED_BY_RUNS:
        for budget in budgets:
            yield row(arm, budget, recombined(pool, runs, budget, actions))
    for arm, plan in (("branched", branched), ("resampled", resampled)):
        more = enough(pool, policy, plan(by_task, samplings, seed), max(budgets), instruction)
        for budget in budgets:
            yield row(arm, budget, {t: known(by_task[t], more[t], budget) for t in by_task})
    for budget in budgets:
        yield row("unguided", budget, unguided(pool, by_task, budget, seed))


def recombined(
    pool: EnvironmentPool, runs: Sequence[Trajectory], budget: int, actions: Tried
) -> dict[str, Found]:
    """Paths made of the runs; a fourth of the budget is kept for shortening them."""
    return {
        path.trajectory.task_id: Found(
            path.trajectory.total_return,
            path.trajectory.total_return,
            sum(path.num_steps.values()),
        )
        for path in recombine(pool, runs, budget_per_task=budget, actions=actions)
    }


def finished(runs: Sequence[Trajectory]) -> dict[str, list[Trajectory]]:
    """By task, without those that ended in an error."""
    by_task: dict[str, list[Trajectory]] = {}
    for run in runs:
        if run.status != "error":
            by_task.setdefault(run.task_id, []).append(run)
    return by_task


def row(arm: str, budget: int, found: Mapping[str, Found]) -> Row:
    return Row(
        arm=arm,
        budget=budget,
        best_return=statistics.mean(one.best_return for one in found.values()),
        best_on_the_way=statistics.mean(one.best_on_the_way for one in found.values()),
        num_solved=sum(at_least(one.best_return, 1.0) for one in found.values()),
        num_tasks=len(found),
        num_steps=statistics.mean(one.num_steps for one in found.values()),
    )


def known(runs: Sequence[Trajectory], more: Sequence[Trajectory] = (), budget: int = 0) -> Found:
    """Of the runs, and as many of the other episodes as the budget pays for to their end; those
    that ended in an error cost what they played."""
    paid, num_steps = [], 0
    for episode in more:
        if num_steps + len(episode.steps) > budget:
            break
        num_steps += len(episode.steps)
        if episode.status != "error":
            paid.append(episode)
    every = [*runs, *paid]
    return Found(
        max(episode.total_return for episode in every),
        max(on_the_way(episode) for episode in every),
        num_steps,
    )


def on_the_way(episode: Trajectory) -> float:
    """The highest score after any step, or the return."""
    return max([episode.total_return, *(state.score for state in recorded(episode))])


Plans = Iterator[list[EpisodePlan]]


def resampled(
    by_task: Mapping[str, Sequence[Trajectory]], samplings: Sequence[Sampling], seed: int
) -> Plans:
    """Round after round: another episode of every task, those with a temperature in turn."""
    drawing = itertools.cycle([s for s in samplings if s.temperature > 0])
    for index in itertools.count(len(samplings)):
        sampling = next(drawing)
        yield [EpisodePlan(task_id, index, sampling, seed) for task_id in by_task]


def branched(
    by_task: Mapping[str, Sequence[Trajectory]], samplings: Sequence[Sampling], seed: int
) -> Plans:
    """Round after round: an episode of every task from the next of its nodes; from the start where
    all returns are equal, and no node is better than another."""
    runs = [run for of_task in by_task.values() for run in of_task]
    drawing = [s for s in samplings if s.temperature > 0]
    begun, planned = 0, 16
    while True:
        plans: dict[str, list[EpisodePlan]] = {task_id: [] for task_id in by_task}
        for plan in plan_branches(
            runs, samplings, episodes_per_task=planned, criterion="return_variance", seed=seed
        ):
            plans[plan.task_id].append(plan)
        for number in range(begun, planned):  # more of them begin with the same ones
            index, sampling = len(samplings) + number, drawing[number % len(drawing)]
            yield [
                of_task[number] if of_task else EpisodePlan(task_id, index, sampling, seed)
                for task_id, of_task in plans.items()
            ]
        begun, planned = planned, 2 * planned


def enough(
    pool: EnvironmentPool, policy: Policy, rounds: Plans, budget: int, instruction: str
) -> dict[str, list[Trajectory]]:
    """Episodes of each task in their order, until one more would not be paid for."""
    played: dict[str, list[Trajectory]] = defaultdict(list)
    spent: dict[str, int] = defaultdict(int)
    for plans in rounds:
        left = [plan for plan in plans if spent[plan.task_id] < budget]
        if not left:
            break
        for episode in rollout(pool, policy, left, instruction=instruction):
            played[episode.task_id].append(episode)
            spent[episode.task_id] += max(1, len(episode.steps))
    return played


def unguided(
    pool: EnvironmentPool, by_task: Mapping[str, Sequence[Trajectory]], budget: int, seed: int
) -> dict[str, Found]:
    """What search finds that knows the environment's offers and scores alone. The whole budget is
    the search's: a score is asked for, and no shorter way to it."""
    found = {}
    paths = search_plainly(pool, list(by_task), budget_per_task=budget, seed=seed, shorten=False)
    for path in paths:
        before = known(by_task[path.task_id])
        best = 0.0 if path.trajectory is None else path.trajectory.total_return
        found[path.task_id] = replace(
            before,
            best_return=max(before.best_return, best),
            best_on_the_way=max(before.best_on_the_way, best),
            num_steps=sum(path.num_steps.values()),
        )
    return found
