"""Node advantages, and runs weighed by them, for policy gradients.

    mean return    h 0.5 ─┬─ a 0.9 ── …  0.9          advantage     h 0 ─┬─ a +0.4 ── …  0
                          └─ b 0.1 ── …  0.1                             └─ b -0.4 ── …  0

A node's advantage is the mean return of the runs below it minus its parent's: what the turn that
leads there, with the environment's answer to it, changed. Where runs went one way it is 0. Summed
along a run it is the run's return minus its task's mean, where no other run ends with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from w2stree.rows.comparisons import require_prompt
from w2stree.rows.rows import is_taught
from w2stree.rows.tokenized import turns_for
from w2stree.training.trees.examples import Example
from w2stree.training.trees.sequences import ScoredIds
from w2stree.trajectories.trajectory import Trajectory
from w2stree.turns.chat import ChatFormat

if TYPE_CHECKING:
    from w2stree.forest.forest import Forest


def advantages(forest: Forest) -> NDArray[np.float64]:
    """`[num_nodes]` in units of return; 0 at roots. O(nodes)."""
    mean = forest.return_sum / forest.num_trajectories
    parent = np.where(forest.parent < 0, np.arange(forest.num_nodes), forest.parent)
    found: NDArray[np.float64] = mean - mean[parent]
    return found


def advantage_examples(
    forest: Forest, chat: ChatFormat, *, max_length: int
) -> list[Example | None]:
    """An example for each trajectory, for `objectives.PolicyGradient`.

    An agent's token weighs the advantage of the node that its turn leads to; prompts and answers
    weigh 0, and so does a turn without an action where the advantage would teach it. What comes
    after the last token of a weight is left out: it changes nothing. A run of no advantage anywhere
    is one token of weight 0, since the loss is a mean over all runs. Runs of one task are of one
    tree.

    None stands for a run of more than `max_length` tokens, as it is left, and for one of which a
    log kept no words.

    Raises `InvalidInput` for a forest whose trajectories have no prompt. O(steps²) for each run.
    """
    of_node = advantages(forest)
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
    steps = turns_for(trajectory, chat.fingerprint())
    prompt = chat.prompt_ids(trajectory.prompt)
    ids, _ = chat.steps_ids(steps)
    weight = np.zeros(len(prompt) + len(ids), np.float32)
    last = 1
    for i, (step, advantage) in enumerate(zip(steps, of_turn, strict=True)):
        if advantage and (advantage < 0 or is_taught(step)):
            end = len(prompt) + len(chat.steps_ids(steps[: i + 1])[0])
            weight[end - len(chat.response_ids(step)) : end] = advantage
            last = end
    return ScoredIds(np.array(prompt + ids, np.int32)[:last], weight[:last], tree)
