"""What new episodes of a task say beside the runs that were there.

    explored   u ─┬─ a ─┬─ c   1.0
                  │     └─ d   0.5
                  └─ b         0.0
    new        u ── a ── d     1.0     started after "a": its siblings are the two runs through "a"

A **sibling** of an episode is a run that had gone through the state it started from. Its **outcome
differs** from a sibling's where the returns do; of an episode it is the share of its siblings, so
that it does not grow with their number.

A **pair of runs** parts at a decision divergence, is free to do so on both sides (`is_free`), and
has unequal returns. **Informative** are pairs of actions (`rollouts.informative_pairs`).
"""

from __future__ import annotations

from collections.abc import Sequence

from w2stree.forest.build import build_forest
from w2stree.rollouts.branching import steps_to
from w2stree.rollouts.free_returns import is_free
from w2stree.rollouts.informative_pairs import InformativePair, informative_pairs
from w2stree.rows.confidence import Posterior
from w2stree.trajectories.returns import is_same
from w2stree.trajectories.trajectory import Trajectory

History = tuple[tuple[str, str], ...]
PairKey = tuple[History, str, str]
"""The history, as actions and answers; the better action; the other one."""


def siblings(episode: Trajectory, runs: Sequence[Trajectory]) -> list[Trajectory]:
    """Of the runs of its task, those through the state it started from; from the start all."""
    depth = episode.origin.prefix_length or 0
    return [run for run in runs if num_shared(episode, run) >= depth]


def share_that_differs(episode: Trajectory, others: Sequence[Trajectory]) -> float:
    """Of the other runs, at least one, the share with another return."""
    differing = [not is_same(episode.total_return, run.total_return) for run in others]
    return sum(differing) / len(differing)


def num_shared(one: Trajectory, other: Trajectory) -> int:
    """Steps, from the first on, whose actions and answers are equal."""
    return num_shared_with(one, [(step.action, step.observation) for step in other.steps])


def num_shared_with(run: Trajectory, history: Sequence[tuple[str, str]]) -> int:
    for number, (step, its) in enumerate(zip(run.steps, history, strict=False)):
        if (step.action, step.observation) != its:
            return number
    return min(len(run.steps), len(history))


def is_pair(one: Trajectory, other: Trajectory) -> bool:
    """Whether the two runs of a task are a pair of runs."""
    depth = num_shared(one, other)
    if depth in (len(one.steps), len(other.steps)):
        return False
    return (
        one.steps[depth].action != other.steps[depth].action
        and is_free(one, depth)
        and is_free(other, depth)
        and not is_same(one.total_return, other.total_return)
    )


def num_new_pairs(runs: Sequence[Trajectory], new: Sequence[Trajectory]) -> int:
    """Pairs of runs with a new one on one side or both."""
    every = [*runs, *new]
    return sum(is_pair(every[i], every[j]) for i in range(len(runs), len(every)) for j in range(i))


def pairs_that_inform(
    runs: Sequence[Trajectory], posterior: Posterior
) -> dict[PairKey, InformativePair]:
    """The informative pairs of one task's runs."""
    forest = build_forest(runs)
    tree = forest[runs[0].task_id]
    found = {}
    for pair in informative_pairs(tree, posterior):
        history = tuple((s.action, s.observation) for s in steps_to(tree, pair.node))
        found[history, pair.better.action, pair.other.action] = pair
    return found
