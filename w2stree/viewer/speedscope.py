"""A forest as a profile for speedscope: stacks are a task and the actions taken, weights are runs.

task-3 ─ take egg ─ fry egg ─ eat egg    1 run        {"samples": [[0, 1, 2, 3], …],
                            └ drop egg   1 run         "weights": [1, …]}
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import w2stree
from w2stree.errors import InvalidInput
from w2stree.forest.forest import Forest
from w2stree.shorten import visible
from w2stree.trajectories.replacing import replacing

SCHEMA = "https://www.speedscope.app/file-format-schema.json"
NO_ACTION = "(no action)"


def write_speedscope(
    forest: Forest,
    path: str | os.PathLike[str],
    *,
    title: str = "forest",
    task_id: str | None = None,
) -> int:
    """Write a forest, or one task's tree, as one sampled profile; returns its weight, the number of
    its runs.

    A sample stands for the runs that end at one node: its stack is their task and their actions,
    outermost first, its weight how many they are, and samples are in the forest's order. One
    action is one frame wherever it was taken; what was answered is in no frame, so that where one
    action had different answers, samples have equal stacks. A turn without an action is
    `(no action)`.

    All or nothing, and what was at `path` is replaced (`trajectories.replacing`). Raises
    `InvalidInput` for a task that has no tree. O(nodes + steps of the runs).
    """
    if task_id is not None and task_id not in forest:
        raise InvalidInput(f"{task_id!r} has no tree; tasks are in forest.task_ids")
    frames: dict[tuple[str, bool], int] = {}
    samples, weights = [], []
    for stack, weight in _stacks(forest, task_id, frames):
        samples.append(stack)
        weights.append(weight)
    profile = {
        "type": "sampled",
        "name": visible(title),
        "unit": "none",
        "startValue": 0,
        "endValue": sum(weights),
        "samples": samples,
        "weights": weights,
    }
    record: dict[str, Any] = {
        "$schema": SCHEMA,
        "exporter": f"w2stree {w2stree.__version__}",
        "name": visible(title),
        "activeProfileIndex": 0,
        "shared": {"frames": [{"name": name} for name, _ in frames]},
        "profiles": [profile],
    }
    with replacing(path) as file:
        json.dump(record, file, separators=(",", ":"))
        file.write("\n")
    return sum(weights)


def _stacks(
    forest: Forest, task_id: str | None, frames: dict[tuple[str, bool], int]
) -> Iterator[tuple[list[int], int]]:
    """Of each node at which runs end; `frames` fills with tasks (True) and actions. A task may be
    called as an action is."""

    def frame(name: str, *, is_task: bool = False) -> int:
        return frames.setdefault((name, is_task), len(frames))

    depth, action, ends = (
        column.tolist() for column in (forest.depth, forest.action_id, forest.num_terminal)
    )
    for tree_id, root in enumerate(forest.root.tolist()):
        task = forest.task_ids[tree_id]
        if task_id not in (None, task):
            continue
        stack = [frame(visible(task), is_task=True)]
        for node in range(root, int(forest.subtree_end[root])):
            if node != root:
                del stack[depth[node] :]
                stack.append(frame(visible(forest.actions[action[node]]) or NO_ACTION))
            if ends[node]:
                yield stack.copy(), ends[node]
