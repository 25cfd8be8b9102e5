"""Groups for the listwise loss: all that was done at one divergence, and how well it went.

                  return of the runs     q = softmax(mean / temperature)
    h ─┬─ a       1.0  0.8   mean 0.9    0.58
       ├─ b       0.4             0.4    0.22        temperature 0.5
       └─ c       0.3             0.3    0.18        (rounded)

One group says at the price of its k sequences what k (k - 1) / 2 pairs say.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

import numpy as np

from w2stree.errors import InvalidInput
from w2stree.rows.rows import Completion, is_taught
from w2stree.rows.tokenized import taught_ids, turns_for
from w2stree.rows.worded import require_prompt
from w2stree.training.trees.examples import Example
from w2stree.training.trees.sequences import ScoredIds
from w2stree.trajectories.answers import shape_of
from w2stree.trajectories.returns import mean_return, tolerance
from w2stree.trajectories.trajectory import Step, Trajectory
from w2stree.turns.chat import ChatFormat

if TYPE_CHECKING:
    from w2stree.forest.forest import Forest


@dataclass(frozen=True, slots=True)
class GroupRow:
    """Trajectories through one divergence, the best first; turns [begin, end) are compared."""

    members: tuple[Trajectory, ...]
    returns: tuple[float, ...]
    """Of each member's side: a mean over the runs that took it. Not all equal."""
    num_runs: tuple[int, ...]
    begin: int
    end: int | None
    divergence: int
    """Node of the forest."""

    @property
    def task_id(self) -> str:
        return self.members[0].task_id

    def target(self, temperature: float) -> tuple[float, ...]:
        """softmax(returns / temperature), in sum 1."""
        best = max(self.returns)
        shares = [math.exp((r - best) / temperature) for r in self.returns]
        return tuple(share / math.fsum(shares) for share in shares)


def group_rows(forest: Forest, completion: Completion) -> list[GroupRow]:
    """A group for each decision divergence, by node.

    `step`: a member for each action, shown by the first of its runs with the greatest return; its
    return is the mean over all runs that took the action. `suffix`: a member for each way on, runs
    that read alike together. Ordered by return, then by first appearance.

    As in `preference_rows`, turns of which a log kept no words are in no group, nor are actions
    that are none (`step`), and equal returns of all members say nothing: no group.

    Raises `InvalidInput` for an unknown `completion`, and for a forest whose trajectories have no
    prompt. O(nodes + runs through divergences).
    """
    if completion not in get_args(Completion):
        raise InvalidInput(f"completion is {completion!r}; use 'step' or 'suffix'")
    found = []
    for node in np.flatnonzero(forest.is_decision_divergence).tolist():
        group = _group_at(forest, node, completion)
        if group is not None:
            found.append(group)
    return found


def group_examples(
    rows: Iterable[GroupRow], chat: ChatFormat, *, temperature: float, max_length: int
) -> list[Example | None]:
    """An example for each group, None where a member exceeds `max_length` tokens.

    All members continue the best one's history where the environment said the same to them, else
    their own. Only the agent's turns are scored; turns without an action are not. `temperature` is
    in units of return: the smaller, the more the best member takes. Groups of one task are of one
    tree. `Example.reference` is empty: see `reference_scores` and `dataclasses.replace`.

    Raises `InvalidInput` for a temperature that is not above 0, and for a trajectory without a
    prompt.
    """
    if not 0 < temperature < math.inf:
        raise InvalidInput(f"temperature is {temperature}; give a number above 0, in returns")
    fingerprint = chat.fingerprint()
    trees: dict[str, int] = {}
    examples: list[Example | None] = []
    for group in rows:
        tree = trees.setdefault(group.task_id, len(trees))
        best = group.members[0]
        sequences = []
        for member in group.members:
            told = best if _is_told_alike(best, member, group.begin) else member
            history = turns_for(told, fingerprint)[: group.begin]
            ids = chat.history_ids(told.prompt, history)
            turns = turns_for(member, fingerprint)[group.begin : group.end]
            more, mask = taught_ids(chat, turns)
            sequences.append(ScoredIds.of(ids + more, [0] * len(ids) + mask, tree))
        fits = max(len(s.ids) for s in sequences) <= max_length
        example = Example(tuple(sequences), group.target(temperature))
        examples.append(example if fits else None)
    return examples


def _group_at(forest: Forest, node: int, completion: Completion) -> GroupRow | None:
    begin = int(forest.depth[node])
    end = begin + 1 if completion == "step" else None
    first = int(forest.first_trajectory[node])
    runs = forest.trajectory_order[first : first + int(forest.num_trajectories[node])]
    sides: dict[object, list[Trajectory]] = {}
    for trajectory in (forest.trajectories[i] for i in sorted(runs.tolist())):
        turns = trajectory.steps[begin:end]
        if turns and all(s.is_worded for s in turns) and any(is_taught(s) for s in turns):
            key = turns[0].action if completion == "step" else _reads(turns)
            sides.setdefault(key, []).append(trajectory)
    by_return = sorted(sides.values(), key=_mean_return, reverse=True)
    returns = [_mean_return(side) for side in by_return]
    if len(returns) < 2 or returns[0] - returns[-1] <= tolerance(max(map(abs, returns))):
        return None
    members = tuple(max(side, key=lambda t: t.total_return) for side in by_return)
    require_prompt(members[0])
    return GroupRow(members, tuple(returns), tuple(map(len, by_return)), begin, end, node)


def _reads(turns: Sequence[Step]) -> object:
    """Equal for turns that read alike; the last answer is read by nobody."""
    said = [(s.response, s.action, s.observation) for s in turns]
    return (*said[:-1], said[-1][:2])


def _mean_return(side: Sequence[Trajectory]) -> float:
    return mean_return([t.total_return for t in side])


def _is_told_alike(one: Trajectory, other: Trajectory, begin: int) -> bool:
    pairs = zip(one.steps[:begin], other.steps[:begin], strict=True)
    if any(a.observation != b.observation for a, b in pairs):
        return False
    return shape_of(one, begin) == shape_of(other, begin)
