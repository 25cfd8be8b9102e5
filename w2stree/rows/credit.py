"""What each turn of a run is to be credited with: rows by turn, and weights by token.

                 parent  group  leave one out │ of how many runs
run 0   turn 0    +0.25  +0.50      +0.75     │ 3 acted there, 2 did the same
        turn 1    +0.25  +0.25      +0.50     │ 2 acted there, 1 did the same

ids       prompt │ turn 0 . answer . turn 1 .          completion: what follows the prompt
is agent         │ 1 1 1 1  0 0 0 0  1 1 1 1
advantage        │  +0.25   0 0 0 0   +0.25            by one baseline
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from w2stree.forest.advantages import Baseline, advantages
from w2stree.rows.rows import is_taught
from w2stree.rows.tokenized import turns_for
from w2stree.rows.worded import require_prompt
from w2stree.trajectories.trajectory import Trajectory
from w2stree.turns.chat import ChatFormat

if TYPE_CHECKING:
    from w2stree.forest.forest import Forest


@dataclass(frozen=True, slots=True)
class TurnCredit:
    """One turn of a run, and its advantages by each baseline (`forest.advantages`)."""

    run: Trajectory
    number: int
    """Of the run, in `forest.trajectories`."""
    step: int
    """Turns before it."""
    node: int
    """Of the forest, after it."""
    parent: float
    group: float
    leave_one_out: float
    num_runs: int
    """That act where this turn was taken, this one among them: what the baselines are made of."""
    num_alike: int
    """Of these, the runs that took the same action and got the same answer."""


@dataclass(frozen=True, slots=True)
class RunCredit:
    """A whole run, and the advantage of each of its turns by one baseline."""

    run: Trajectory
    number: int
    values: tuple[float, ...]
    num_runs: int
    """Of its task."""


def turn_credits(forest: Forest, *, scale: bool = False) -> Iterator[TurnCredit]:
    """A row a step, run after run; `scale` as in `forest.advantages`. O(steps)."""
    found = [advantages(forest, baseline=b, scale=scale) for b in _BASELINES]
    rows = found[0]
    left = np.asarray(forest.parent)[rows.node]
    num_acting = np.bincount(left, minlength=forest.num_nodes)[left]
    num_alike = np.asarray(forest.num_trajectories)[rows.node]
    columns: list[NDArray[Any]] = [rows.trajectory, rows.step, rows.node]
    columns += [*(f.value for f in found), num_acting, num_alike]
    runs = forest.trajectories
    run, number = None, -1
    for i, *rest in zip(*(column.tolist() for column in columns), strict=True):
        if i != number:
            run, number = runs[i], i
        assert run is not None
        yield TurnCredit(run, i, *rest)


_BASELINES: tuple[Baseline, ...] = ("parent", "group", "leave_one_out")  # as in `TurnCredit`


def run_credits(
    forest: Forest, *, baseline: Baseline = "parent", scale: bool = False
) -> Iterator[RunCredit]:
    """A row a run. Raises `InvalidInput` for an unknown baseline. O(steps)."""
    found = advantages(forest, baseline=baseline, scale=scale)
    roots = np.asarray(forest.root)
    tree = np.searchsorted(roots, np.asarray(forest.end_node), side="right") - 1
    num_runs = np.asarray(forest.num_trajectories)[roots][tree].tolist()
    for i, run in enumerate(forest.trajectories):
        yield RunCredit(run, i, tuple(found.of(i).tolist()), num_runs[i])


@dataclass(frozen=True, slots=True)
class WeighedIds:
    """A run as a model reads it. The last answer, after which nothing is said, is not in it."""

    prompt: list[int]
    completion: list[int]
    is_agent: list[int]
    """By id of the completion: 1 where the agent said it."""
    advantage: list[float]
    """By id of the completion: its turn's; 0 where `is_agent` is."""


def weighed_ids(run: Trajectory, values: Sequence[float], chat: ChatFormat) -> WeighedIds:
    """A token of a turn weighs the turn's value. A turn without an action weighs 0 where its value
    would teach it: it gets nothing, however well the run ended.

    Raises `InvalidInput` for a run without a prompt. O(ids).
    """
    require_prompt(run)
    steps = turns_for(run, chat.fingerprint())
    completion, is_agent = chat.steps_ids(steps)
    advantage: list[float] = []
    for i, (step, value) in enumerate(zip(steps, values, strict=True)):
        weight = value if value < 0 or is_taught(step) else 0.0
        advantage += [weight] * len(chat.response_ids(step))
        if i + 1 < len(steps):
            advantage += [0.0] * len(chat.answer_ids(step))
    advantage = [w if said else 0.0 for w, said in zip(advantage, is_agent, strict=True)]
    return WeighedIds(chat.prompt_ids(run.prompt), completion, is_agent, advantage)
