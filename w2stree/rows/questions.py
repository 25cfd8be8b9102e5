"""What tasks ask, once each: rows for trainers that play on themselves (GRPO)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from w2stree.rows.worded import require_prompt
from w2stree.trajectories.returns import mean_return
from w2stree.trajectories.trajectory import Message, Trajectory


@dataclass(frozen=True, slots=True)
class QuestionRow:
    """A task's opening, and how its runs fared. Tasks that open alike are one."""

    run: Trajectory
    """The first of them."""
    num_runs: int
    mean_return: float
    least_return: float
    greatest_return: float


def questions(trajectories: Iterable[Trajectory]) -> Iterator[QuestionRow]:
    """In order of first appearance, runs of status "error" left out. A task whose least and
    greatest return are equal teaches a group-relative trainer nothing.

    Raises `InvalidInput` for a trajectory without a prompt.
    """
    found: dict[tuple[Message, ...], list[Trajectory]] = {}
    for run in trajectories:
        if run.status != "error":
            require_prompt(run)
            found.setdefault(run.prompt, []).append(run)
    for runs in found.values():
        returns = [run.total_return for run in runs]
        yield QuestionRow(runs[0], len(runs), mean_return(returns), min(returns), max(returns))
