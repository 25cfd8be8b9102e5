"""Runs weighed by node advantages (`w2stree.forest.advantages`), for policy gradients.

runs    prompt  turn  answer  turn  answer          a token of a turn weighs the advantage of
weight  0 0 0   +.4     0     -.1     0             the node that the turn leads to
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from w2stree.forest.advantages import node_advantages
from w2stree.rows.credit import weighed_ids
from w2stree.rows.worded import require_prompt
from w2stree.training.trees.examples import Example
from w2stree.training.trees.sequences import ScoredIds
from w2stree.trajectories.trajectory import Trajectory
from w2stree.turns.chat import ChatFormat

if TYPE_CHECKING:
    from w2stree.forest.forest import Forest


def advantage_examples(
    forest: Forest, chat: ChatFormat, *, max_length: int
) -> list[Example | None]:
    """An example for each trajectory, for `objectives.PolicyGradient`.

    An agent's token weighs the advantage of the node that its turn leads to; prompts and answers
    weigh 0, and so do a turn without an action where the advantage would teach it, and the mark
    that ends a turn which was cut off. What comes after the last token of a weight is left out: it
    changes nothing. A run of no advantage anywhere is one token of weight 0, since the loss is a
    mean over all runs. Runs of one task are of one tree.

    None stands for a run of more than `max_length` tokens, as it is left, and for one of which a
    log kept no words.

    Raises `InvalidInput` for a forest whose trajectories have no prompt. O(ids).
    """
    of_node = node_advantages(forest)
    tree_of = {task: tree for tree, task in enumerate(forest.task_ids)}
    found: list[Example | None] = []
    for end, trajectory in zip(forest.end_node.tolist(), forest.trajectories, strict=True):
        require_prompt(trajectory)
        if not all(step.is_worded for step in trajectory.steps):
            found.append(None)
            continue
        of_turn = [float(of_node[node]) for node in forest.path_to(end)[1:]]
        sequence = _weighed(trajectory, of_turn, chat, tree_of[trajectory.task_id])
        found.append(Example((sequence,)) if len(sequence.ids) <= max_length else None)
    return found


def _weighed(
    trajectory: Trajectory, of_turn: list[float], chat: ChatFormat, tree: int
) -> ScoredIds:
    found = weighed_ids(trajectory, of_turn, chat)
    ids = np.array(found.prompt + found.completion, np.int32)
    weight = np.array([0.0] * len(found.prompt) + found.advantage, np.float32)
    last = max([1, *(np.flatnonzero(weight)[-1:] + 1).tolist()])
    return ScoredIds(ids[:last], weight[:last], tree)
