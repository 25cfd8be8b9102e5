"""Ways to choose where the next episodes of explored tasks start, paid by the environment step.

    restarts        at the task's start: uniform exploration
    random nodes    at a node of the explored runs' tree, all alike likely: uniform branching
    CRITERION       at nodes of `plan_branches`, chosen once, from the explored runs
    CRITERION replanned     … chosen anew before every episode, by all that is known by then

Every way back to a node is paid for, and every arm plays on a task until it has paid the budget: no
two differ by more than an episode. Where a criterion has no node (all returns equal), it restarts.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count

import numpy as np

from bench.rollouts.outcomes import (
    PairKey,
    num_new_pairs,
    pairs_that_inform,
    share_that_differs,
    siblings,
)
from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.errors import IdenticalTrajectories
from w2stree.forest.build import build_forest
from w2stree.forest.forest import Forest
from w2stree.policies.protocol import Policy, Sampling
from w2stree.rollouts.branching import Criterion, plan_branches, steps_to
from w2stree.rollouts.episode import EpisodePlan
from w2stree.rollouts.rollout import rollout
from w2stree.rows.confidence import Posterior
from w2stree.trajectories.trajectory import Trajectory

Runs = Mapping[str, Sequence[Trajectory]]
"""By task."""

Choice = Callable[[Runs, int], list[EpisodePlan]]
"""Of the runs known by then and the number of the round: an episode of each of these tasks."""

_PLANNED = 64  # of each task, where they are planned once


@dataclass(frozen=True, slots=True)
class Cell:
    """What one arm came to on one task, with one seed."""

    num_episodes: int
    num_steps: int
    """Of the environment: ways back included."""
    num_own_steps: int
    """That the policy played."""
    differing: float
    """Sum over episodes, of the share of its siblings whose outcome differs."""
    num_run_pairs: int
    num_informative: int
    """Pairs after, less those before."""
    num_confirmed: int = 0
    """Of the pairs that were none before; set where they are checked."""
    num_reversed: int = 0


@dataclass(frozen=True, slots=True)
class Played:
    cell: Cell
    runs: list[Trajectory]
    """Explored and new."""
    found: list[PairKey]
    """The informative pairs that were none before."""


def restarts(samplings: Sequence[Sampling], seed: int) -> Choice:
    return lambda known, number: [_restart(task, samplings, seed, number) for task in known]


def random_nodes(explored: Runs, samplings: Sequence[Sampling], seed: int) -> Choice:
    """Among the nodes, the root too, where an explored run went on."""
    forest = _forest([run for of_task in explored.values() for run in of_task])
    open_: dict[str, list[int]] = {}
    for task in explored:
        tree = forest[task]
        nodes = range(tree.root, tree.root + tree.num_nodes)
        open_[task] = [n for n in nodes if forest.num_terminal[n] < forest.num_trajectories[n]]

    def choose(known: Runs, number: int) -> list[EpisodePlan]:
        plans = []
        for task in known:
            plan = _restart(task, samplings, seed, number)
            rng = np.random.default_rng([*plan.rng().integers(2**32, size=4).tolist(), number])
            prefix = steps_to(forest[task], int(rng.choice(open_[task])))
            tokenizer = explored[task][0].origin.tokenizer
            plans.append(replace(plan, prefix=prefix, prefix_tokenizer=tokenizer))
        return plans

    return choose


def planned_once(
    explored: Runs, samplings: Sequence[Sampling], seed: int, criterion: Criterion
) -> Choice:
    plans = _branches(explored, samplings, seed, criterion, number=0, num=_PLANNED)

    def choose(known: Runs, number: int) -> list[EpisodePlan]:
        return [
            plans[task][number % _PLANNED]
            if task in plans
            else _restart(task, samplings, seed, number)
            for task in known
        ]

    return choose


def replanned(samplings: Sequence[Sampling], seed: int, criterion: Criterion) -> Choice:
    def choose(known: Runs, number: int) -> list[EpisodePlan]:
        plans = _branches(known, samplings, seed, criterion, number=number, num=1)
        return [
            plans[task][0] if task in plans else _restart(task, samplings, seed, number)
            for task in known
        ]

    return choose


def play(
    pool: EnvironmentPool,
    policy: Policy,
    explored: Runs,
    choice: Choice,
    *,
    posterior: Posterior,
    budget: int,
    instruction: str = "",
) -> dict[str, Played]:
    """Of each task: an episode a round until `budget` environment steps are paid."""
    known = {task: list(runs) for task, runs in explored.items()}
    spent: dict[str, int] = defaultdict(int)
    differing: dict[str, float] = defaultdict(float)
    for number in count():
        left = {task: known[task] for task in explored if spent[task] < budget}
        if not left:
            break
        plans = choice(left, number)
        for episode in rollout(pool, policy, plans, instruction=instruction):
            if episode.status == "error":
                raise RuntimeError(f"{episode.task_id}: {episode.origin.error}")
            task = episode.task_id
            before = siblings(episode, known[task])
            differing[task] += share_that_differs(episode, before)
            spent[task] += max(1, len(episode.steps))
            known[task].append(episode)
    return {
        task: _measured(runs, known[task], spent[task], differing[task], posterior)
        for task, runs in explored.items()
    }


def _measured(
    explored: Sequence[Trajectory],
    known: list[Trajectory],
    num_steps: int,
    differing: float,
    posterior: Posterior,
) -> Played:
    new = known[len(explored) :]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", IdenticalTrajectories)
        before, after = (pairs_that_inform(runs, posterior) for runs in (explored, known))
    own = sum(len(run.steps) - (run.origin.prefix_length or 0) for run in new)
    cell = Cell(
        num_episodes=len(new),
        num_steps=num_steps,
        num_own_steps=own,
        differing=differing,
        num_run_pairs=num_new_pairs(explored, new),
        num_informative=len(after) - len(before),
    )
    return Played(cell, known, [key for key in after if key not in before])


def _branches(
    known: Runs,
    samplings: Sequence[Sampling],
    seed: int,
    criterion: Criterion,
    *,
    number: int,
    num: int,
) -> dict[str, list[EpisodePlan]]:
    plans: dict[str, list[EpisodePlan]] = {}
    for plan in plan_branches(
        [run for runs in known.values() for run in runs],
        samplings,
        episodes_per_task=num,
        criterion=criterion,
        seed=seed,
        num_before=number,
    ):
        plans.setdefault(plan.task_id, []).append(plan)
    return plans


def _restart(task: str, samplings: Sequence[Sampling], seed: int, number: int) -> EpisodePlan:
    drawing = [sampling for sampling in samplings if sampling.temperature > 0]
    return EpisodePlan(task, len(samplings) + number, drawing[number % len(drawing)], seed)


def _forest(runs: Sequence[Trajectory]) -> Forest:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", IdenticalTrajectories)
        return build_forest(runs)
