"""Better paths of tasks that several runs were made of, found and verified by playing.

    run 1   take cup, put cup in sink, take pen, put pen in drawer      0.75
    run 2   open box, take cup, put cup in box, take pen                0.75
    path    take pen, put pen in drawer, take cup, open box, put cup in box     1.0

In a tree of runs every path is one run, so no search in it finds more than the best of them. A
task's environment is another matter: what one run did can be tried where another one had come.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.environments.hosting.process import EnvironmentProcess
from w2stree.errors import InvalidInput
from w2stree.rollouts.recombination.offered import Guided
from w2stree.rollouts.recombination.paths import Recombined, kept_run, path_to
from w2stree.rollouts.recombination.search import best_known, searched
from w2stree.rollouts.recombination.shortening import shortest
from w2stree.rollouts.recombination.states import (
    AnswersDiffer,
    BudgetSpent,
    Played,
    State,
    play_again,
    recorded,
)
from w2stree.rollouts.recombination.values import Actions, Vocabulary
from w2stree.rollouts.side_by_side import side_by_side
from w2stree.trajectories.returns import at_least
from w2stree.trajectories.trajectory import Trajectory

BUDGET_PER_TASK = 600
"""Environment steps: see docs/exploration.md for what other budgets find."""

Tried = Literal["seen", "all"]
"""Which actions a search tries: those that runs took, or also what none of them did."""

NOT_DETERMINISTIC = "the environment answers otherwise than in the runs"
ALL_OF_NOTHING = "actions is all, but without combine nothing is searched; leave one of them out"
OUT_OF_BUDGET = "the budget does not reach to the end of the best run"


@dataclass(frozen=True, slots=True)
class _Settings:
    budget: int
    greatest_return: float
    combine: bool
    shorten: bool
    actions: Tried


def recombine(
    pool: EnvironmentPool,
    runs: Sequence[Trajectory],
    *,
    budget_per_task: int = BUDGET_PER_TASK,
    greatest_return: float = 1.0,
    combine: bool = True,
    shorten: bool = True,
    actions: Tried = "seen",
) -> Iterator[Recombined]:
    """The best path that each task's runs can be made into; tasks in the order of their first run.

    For each task the runs are played again, the best one first. Then what any of them did is tried
    where any other one had come, the most promising first (`Search`), and the best path found loses
    the steps it can do without (`shorten`). A path is the way to the highest score, and ends
    there; it is at least as good as the best run. A best run of `greatest_return` is shortened
    only; and with `combine` off no more is done for any task than that the run of the highest
    score, at its end or on its way, ends there and is shortened. Whatever is returned was played,
    from the reset to its end, in this environment.

    With `actions` "all" the search may take whatever the environment offers, in the order that the
    runs suggest (`Guided`): first what earned in a run, or made that possible. Only the best run is
    played again then, and the others count as they were recorded: a path is as good as the best
    run, at its end and on its way. What no one prefers is drawn, by the task's name.

    `budget_per_task`: environment steps, the runs' and all replays included; of which a fourth is
    kept for shortening. A state is reached by reset and replay, whether or not the environment
    has snapshots of its own.

    The best run itself is the result, and `Recombined.problem` says why, where the environment
    fails (its process is replaced), where it answers otherwise than the runs have it, or twice
    otherwise itself, and where the budget does not reach to that run's end. Runs that ended in an
    error do not count; a task with no other ones has no result.

    Neither the order of `runs` within a task nor the number of processes decides anything, where
    `origin.sample_index` tells a task's runs apart. One thread for each environment process.
    What a process had taken before its environment failed is in no count. Raises `InvalidInput`
    for a budget below 1, for other `actions`, and for "all" without `combine`; and
    `EnvironmentNotStarted`.
    """
    if budget_per_task < 1:
        raise InvalidInput(f"budget_per_task is {budget_per_task}; give at least 1 step")
    if actions not in get_args(Tried):
        raise InvalidInput(f"actions is {actions!r}; use {' or '.join(get_args(Tried))}")
    if actions == "all" and not combine:
        raise InvalidInput(ALL_OF_NOTHING)
    settings = _Settings(budget_per_task, greatest_return, combine, shorten, actions)
    by_task: dict[str, list[Trajectory]] = {}
    for run in runs:
        if run.status != "error":
            by_task.setdefault(run.task_id, []).append(run)

    def of_task(process: EnvironmentProcess, runs: list[Trajectory]) -> Recombined:
        return _recombined(process, runs, settings)

    def failed(runs: list[Trajectory], why: str) -> Recombined:
        return kept_run(runs, problem=why)

    best_first = [sorted(runs, key=_best_first) for runs in by_task.values()]
    return side_by_side(pool, best_first, of_task, failed)


def _best_first(run: Trajectory) -> tuple[float, int, int, int]:
    origin = run.origin
    return -run.total_return, len(run.steps), origin.sample_index or 0, origin.attempt


def _recombined(
    process: EnvironmentProcess, runs: Sequence[Trajectory], settings: _Settings
) -> Recombined:
    """`runs` of one task, the best one first."""
    played = Played(process, runs[0].task_id, budget=settings.budget)
    is_solved = at_least(runs[0].total_return, settings.greatest_return)
    problem, best = None, None
    try:
        ways = _ways(played, runs[:1] if is_solved or settings.actions == "all" else runs)
        best = _found(played, ways, runs, settings) if ways else None
        problem = None if ways else OUT_OF_BUDGET
    except AnswersDiffer:
        problem = NOT_DETERMINISTIC
    spent = {"num_steps": dict(played.num_steps), "num_resets": played.num_resets}
    if best is None:
        return kept_run(runs, problem=problem, **spent)
    on_the_way = max(state.score for way in ways for state in way)
    return path_to(best, runs, best_on_the_way=on_the_way, **spent)


def _ways(played: Played, runs: Sequence[Trajectory]) -> list[list[State]]:
    """The runs' own states, of as many runs as the budget reaches to.

    Raises `AnswersDiffer` where one is not found again.
    """
    played.purpose = "runs"
    ways = []
    with contextlib.suppress(BudgetSpent):
        for run in runs:
            ways.append(play_again(played, run))
    return ways


def _found(
    played: Played,
    ways: Sequence[Sequence[State]],
    runs: Sequence[Trajectory],
    settings: _Settings,
) -> State:
    """The best state's shortest way; the end of the best run where no state is better than the
    start."""
    takes: Actions
    if settings.actions == "all":
        not_played = (recorded(run) for run in runs[len(ways) :])
        takes, has_promise = Guided(runs[0].task_id, Vocabulary([*ways, *not_played])), True
    else:
        takes = vocabulary = Vocabulary(ways)
        has_promise = vocabulary.has_reward
    best = best_known(played)
    if settings.combine and has_promise:
        best = searched(played, takes, greatest=settings.greatest_return, shorten=settings.shorten)
    if at_least(played.root.score, best.score):
        return ways[0][-1] if ways[0] else played.root
    if settings.shorten:
        best = shortest(played, best, takes, short_cut=settings.combine)
    return best
