"""Paths that were made of runs and are none of them (`w2stree.rollouts.recombination`), beside the
tree: how far each follows it, and where it goes on by itself.

    tree   root ── look ── take key ── wait ── …
    path   root ── look ── take key ── open door ── go        follows the tree to "take key"
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2stree.errors import InvalidInput
from w2stree.forest.forest import Forest
from w2stree.trajectories.trajectory import Trajectory
from w2stree.viewer.text_table import TextTable


def path_columns(
    forest: Forest, paths: Sequence[Trajectory], texts: TextTable
) -> dict[str, NDArray[Any]]:
    """By path `path_return` and the deepest node that it shares with the tree, `path_node`; by step
    of them, of path p from `path_start[p]` on, `path_action`, `path_observation` and
    `path_response`. Raises `InvalidInput` for one of a task that the forest does not have."""
    start = [0]
    node, action, observation, response = (array("I") for _ in range(4))
    for path in paths:
        if path.task_id not in forest:
            raise InvalidInput(f"a recombined path is of task {path.task_id!r}, which has no tree")
        node.append(_deepest_shared(forest, path))
        start.append(start[-1] + len(path.steps))
        for step in path.steps:
            action.append(texts.number(step.action))
            observation.append(texts.number(step.observation))
            response.append(texts.number(step.response))
    return {
        "path_return": np.array([path.total_return for path in paths], np.float64),
        "path_node": np.array(node, np.uint32),
        "path_start": np.array(start, np.uint32),
        "path_action": np.array(action, np.uint32),
        "path_observation": np.array(observation, np.uint32),
        "path_response": np.array(response, np.uint32),
    }


def _deepest_shared(forest: Forest, path: Trajectory) -> int:
    tree = forest[path.task_id]
    node = tree.root
    for step in path.steps:
        for child in tree.children(node):
            is_same = forest.actions[forest.action_id[child]] == step.action
            if is_same and forest.observations[forest.observation_id[child]] == step.observation:
                node = child
                break
        else:
            return node
    return node
