"""Paths that searching a task's environment finds, without any run of the task.

    reset ─┬─ take cup  +0.25 ─┬─ put cup in box  +0.25 ─ …      what the environment offers, where
           └─ look       0     └─ put cup in sink  0             the score is highest so far

It is what paths made of runs are held against: whatever it finds as well, no run was needed for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.environments.hosting.process import EnvironmentProcess
from w2stree.errors import InvalidInput
from w2stree.rollouts.episode import opening
from w2stree.rollouts.recombination.offered import Offered
from w2stree.rollouts.recombination.paths import ends_at
from w2stree.rollouts.recombination.recombine import BUDGET_PER_TASK
from w2stree.rollouts.recombination.search import searched
from w2stree.rollouts.recombination.shortening import shortest
from w2stree.rollouts.recombination.states import AnswersDiffer, Played, State
from w2stree.rollouts.side_by_side import side_by_side
from w2stree.trajectories.origin import Origin
from w2stree.trajectories.returns import at_least
from w2stree.trajectories.trajectory import Step, Trajectory
from w2stree.turns.react import render_turn

POLICY = "plain_search"
"""Who a path is by: `Origin.policy`."""

NOT_DETERMINISTIC = "the environment answers otherwise than a moment ago"
NOTHING_FOUND = "no way that the budget reaches to has a higher score than the start"


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """What came of one task: the way to the highest score as the environment answered it, or
    None where `problem` says why there is none.

    `num_steps` counts the environment steps spent, by what for ("search", "shortening"), replays
    included; `num_resets` the resets.
    """

    task_id: str
    trajectory: Trajectory | None
    num_steps: Mapping[str, int] = field(default_factory=dict)
    num_resets: int = 0
    problem: str | None = None

    def to_record(self) -> dict[str, Any]:
        """All but the trajectory, for JSON."""
        path = self.trajectory
        return {
            "task_id": self.task_id,
            "total_return": None if path is None else path.total_return,
            "num_steps": dict(self.num_steps),
            "num_resets": self.num_resets,
            "problem": self.problem,
        }


def search_plainly(
    pool: EnvironmentPool,
    task_ids: Sequence[str],
    *,
    budget_per_task: int = BUDGET_PER_TASK,
    greatest_return: float = 1.0,
    shorten: bool = True,
    seed: int,
    instruction: str = "",
) -> Iterator[Searched]:
    """A path of each task, in their order, by best-first search among all that the environment
    offers: the next action is taken where the score is highest, of equals where the search came
    last, so that it goes deep; which action there, `seed` draws.

    What `recombine` does after it has played the runs, and with the same budget: the search ends at
    `greatest_return`, with the budget, or when nothing is left to try; the path ends where its
    score is highest, and loses the steps it can do without (`shorten`), for which a fourth of
    the budget is kept. Its turns are the actions alone, after `instruction` and the task's
    statement.

    `Searched.problem` says why there is no path: no score above the start's was found, the
    environment failed (its process is replaced), or it answered otherwise twice. An environment
    that lists no actions leaves nothing to search among. Nothing depends on the number of
    processes, nor on the other tasks. Raises `InvalidInput` for a budget below 1, and
    `EnvironmentNotStarted`.
    """
    if budget_per_task < 1:
        raise InvalidInput(f"budget_per_task is {budget_per_task}; give at least 1 step")

    def of_task(process: EnvironmentProcess, task_id: str) -> Searched:
        played = Played(process, task_id, budget=budget_per_task)
        offered = Offered(f"{seed}/{task_id}")
        problem, best = None, played.root
        try:
            best = searched(played, offered, greatest=greatest_return, shorten=shorten)
            if at_least(played.root.score, best.score):
                problem = NOTHING_FOUND
            elif shorten:
                best = shortest(played, best, offered)
        except AnswersDiffer:
            problem = NOT_DETERMINISTIC
        return Searched(
            task_id=task_id,
            trajectory=None if problem else _path(task_id, best, played.statement, instruction),
            num_steps=dict(played.num_steps),
            num_resets=played.num_resets,
            problem=problem,
        )

    def failed(task_id: str, why: str) -> Searched:
        return Searched(task_id=task_id, trajectory=None, problem=why)

    return side_by_side(pool, task_ids, of_task, failed)


def _path(task_id: str, best: State, statement: str, instruction: str) -> Trajectory:
    status, truncated_by = ends_at(best)
    return Trajectory(
        task_id,
        opening(instruction, statement),
        tuple(
            Step(
                state.action,
                state.observation,
                render_turn("", state.action),
                reward=state.reward,
            )
            for state in best.way()
        ),
        best.score,
        status,
        Origin(sample_index=0, policy=POLICY, raw_return=best.raw_score, truncated_by=truncated_by),
    )
