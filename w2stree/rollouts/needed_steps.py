"""Which steps of a run its return rests on, found by playing the run without them.

    take cup ─ look ─ put cup in sink ─ take cup ─ put cup in box      0.5
       ─        ─            ─          take cup ─ put cup in box      0.5   these are needed

From the last step to the first, each is left out of what is left; where the run is then as good as
it was, it stays out. A later step may have been needed because of one that went, so this is done
again until none goes. No step that is left can be spared, so what is found is a smallest way among
its parts, not the smallest there is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.environments.hosting.process import EnvironmentProcess
from w2stree.errors import InvalidInput
from w2stree.rollouts.recombination.states import (
    AnswersDiffer,
    BudgetSpent,
    Played,
    State,
    play_again,
)
from w2stree.rollouts.side_by_side import side_by_side
from w2stree.trajectories.returns import at_least
from w2stree.trajectories.trajectory import Trajectory

NOT_DETERMINISTIC = "the environment answers otherwise than in the run"


@dataclass(frozen=True, slots=True)
class Needed:
    """Of one run: `steps[t]` whether step t is needed. `problem` says why the run could not be
    played again; all its steps then count as needed, as those do that the budget left untried."""

    steps: tuple[bool, ...]
    num_steps_spent: int
    is_untried: bool = False
    problem: str | None = None


def needed_steps(
    pool: EnvironmentPool, runs: Sequence[Trajectory], *, budget_per_run: int
) -> Iterator[Needed]:
    """One for each run, in their order. An action that was offered in the run, and is not any more
    where steps before it are left out, is passed over.

    `budget_per_run`: environment steps, replays included; of n steps the first round takes at most
    about n (n + 1), and each further one less. One thread for each environment process. Raises
    `InvalidInput` for a budget below 1, and `EnvironmentNotStarted`; an environment that fails in a
    run is replaced.
    """
    if budget_per_run < 1:
        raise InvalidInput(f"budget_per_run is {budget_per_run}; give at least 1 step")

    def of_run(process: EnvironmentProcess, run: Trajectory) -> Needed:
        return _needed(process, run, budget_per_run)

    def failed(run: Trajectory, why: str) -> Needed:
        return Needed((True,) * len(run.steps), 0, problem=why)

    return side_by_side(pool, runs, of_run, failed)


def _needed(process: EnvironmentProcess, run: Trajectory, budget: int) -> Needed:
    played = Played(process, run.task_id, budget=budget)
    kept = [True] * len(run.steps)
    is_untried = True
    try:
        with contextlib.suppress(BudgetSpent):
            offered = _offered(play_again(played, run))
            while _spare(played, run, kept, offered):
                pass
            is_untried = False
    except AnswersDiffer:
        spent = played.num_steps.total()
        return Needed((True,) * len(kept), spent, problem=NOT_DETERMINISTIC)
    return Needed(tuple(kept), played.num_steps.total(), is_untried)


def _offered(way: Sequence[State]) -> list[bool]:
    """Whether each action was one of those that the environment offered."""
    return [state.before is not None and state.action in state.before.offers for state in way]


def _spare(played: Played, run: Trajectory, kept: list[bool], offered: Sequence[bool]) -> bool:
    """Leave out the steps, the last one first, without which the run is as good; whether any."""
    num_before = kept.count(True)
    for t in range(len(kept) - 1, -1, -1):
        if not kept[t]:
            continue
        kept[t] = False
        try:
            kept[t] = not at_least(_return_of(played, run, kept, offered), run.total_return)
        except BudgetSpent:
            kept[t] = True
            raise
    return kept.count(True) < num_before


def _return_of(
    played: Played, run: Trajectory, kept: Sequence[bool], offered: Sequence[bool]
) -> float:
    state = played.root
    for step, is_kept, was_offered in zip(run.steps, kept, offered, strict=True):
        if state.is_over:
            break
        if is_kept and (step.action in state.offers or not was_offered):
            state = played.step(state, step.action)
    return state.score
