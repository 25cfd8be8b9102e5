"""Games that answer what no game should: each costs its own episodes, and nothing else.

`play` explores them with real processes and a journal, and then comes back to the run for more of
the fair tasks. Right is: a foul task's attempt is an error row that says why (or, where the odd
answer is as good as a usual one, it is played), the fair ones' are whole, the journal can be read,
and the second session goes on.
"""

from __future__ import annotations

import asyncio
import re
import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.faults.bad_answers import BAD_ANSWERS, BadAnswer, Foul
from bench.faults.row import Row
from w2stree.environments.hosting.limits import Limits
from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.errors import ModelFailure
from w2stree.policies.expert import ExpertPolicy
from w2stree.policies.protocol import AsyncPolicy, Episode, Policy, Sampling
from w2stree.policies.random import RandomPolicy
from w2stree.rollouts.executor import LocalExecutor
from w2stree.rollouts.exploration import Exploration, plan_episodes
from w2stree.rollouts.rollout import EpisodePlan
from w2stree.trajectories.journal import Journal, read_journal
from w2stree.trajectories.trajectory import Trajectory
from w2stree.turns.turn import AgentTurn


class Patient:
    """The same play at random for a policy whose turns are awaited one by one."""

    name = "patient"
    tokenizer: str | None = None
    needs_expert = False

    def __init__(self) -> None:
        self._random = RandomPolicy()

    async def turn(self, episode: Episode) -> AgentTurn:
        await asyncio.sleep(0)
        (turn,) = self._random.act([episode])
        if isinstance(turn, ModelFailure):
            raise turn
        return turn

    async def close(self) -> None:
        pass


def play(folder: Path, numbers: Sequence[int], *, is_async: bool = False) -> dict[str, str]:
    """Explore with these bad answers, in two sessions; what went wrong, by name."""
    path = folder / f"{'async' if is_async else 'lockstep'}.journal"
    wrong: dict[str, str] = {}
    with EnvironmentPool(Foul, 2, Limits(deadline_s=120.0)) as pool:
        for policy, part in _parts(numbers, is_async):
            tasks = [f"{kind}/{number}" for number in part for kind in ("fair", "foul")]
            try:
                _explore(path, pool, policy, plan_episodes(tasks, [Sampling()], seed=0))
                again = plan_episodes(tasks[::2], [Sampling()] * 2, seed=0)
                _explore(path, pool, policy, again)
            except Exception as error:  # whichever it was: the run has ended, which none may do
                wrong[f"the run of {len(part)}"] = f"{type(error).__name__}: {error}"[:300]
    rows: dict[str, list[Trajectory]] = defaultdict(list)
    for trajectory in read_journal(path).trajectories:
        rows[trajectory.task_id].append(trajectory)
    for number in numbers:
        bad = BAD_ANSWERS[number]
        what = _wrong_with(bad, rows[f"foul/{number}"], rows[f"fair/{number}"])
        if what is not None:
            wrong[bad.name] = what
    return wrong


def _parts(
    numbers: Sequence[int], is_async: bool
) -> Iterator[tuple[Policy | AsyncPolicy, Sequence[int]]]:
    """Solutions are asked for where somebody follows them."""
    shown = [number for number in numbers if BAD_ANSWERS[number].moment == "expert"]
    others = [number for number in numbers if number not in shown]
    yield Patient() if is_async else RandomPolicy(), others
    if shown and not is_async:
        yield ExpertPolicy(), shown


def _explore(
    path: Path, pool: EnvironmentPool, policy: Policy | AsyncPolicy, plans: Sequence[EpisodePlan]
) -> None:
    with Journal(path) as journal, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what ended in errors, as it should
        Exploration(journal, LocalExecutor(pool, lambda _: policy), max_attempts=1).play(plans)


def _wrong_with(
    bad: BadAnswer, foul: Sequence[Trajectory], fair: Sequence[Trajectory]
) -> str | None:
    """None where everything is as it should be."""
    if [t.status for t in fair] != ["done", "done"]:
        return f"the fair task: {[str(t.origin.error)[:200] for t in fair]}"
    if len(foul) != 1:
        return f"{len(foul)} rows"
    (row,) = foul
    if bad.told is None:
        return None if row.status == "done" else f"not played: {row.origin.error}"
    if row.status != "error" or not re.search(bad.told, str(row.origin.error)):
        return f"not told: {row.status}, {row.origin.error}"
    return None if len(str(row.origin.error)) < 4_500 else "told at too great length"


def rows(folder: Path) -> list[Row]:
    """All of them, in lockstep and then where each episode proceeds on its own."""
    numbers = range(len(BAD_ANSWERS))
    awaited = [number for number in numbers if BAD_ANSWERS[number].moment != "expert"]
    played = {
        "bad answers of a game": (numbers, play(folder, numbers)),
        "the same, episodes on their own": (awaited, play(folder, awaited, is_async=True)),
    }
    return [
        Row(
            name,
            len(tried),
            {"wrong": len(wrong)},
            "; ".join(f"{n}: {w}" for n, w in wrong.items()),
        )
        for name, (tried, wrong) in played.items()
    ]
