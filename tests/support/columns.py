"""Trajectories as the columns that the other ways into a forest take, and forests as facts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from w2stree import Forest, Trajectory

NODE_ARRAYS = (
    "parent",
    "action_id",
    "observation_id",
    "subtree_end",
    "num_trajectories",
    "num_terminal",
    "return_sum",
)


def columns_of(trajectories: Sequence[Trajectory]) -> dict[str, list[Any]]:
    return {
        "task_id": [t.task_id for t in trajectories],
        "actions": [[step.action for step in t.steps] for t in trajectories],
        "observations": [[step.observation for step in t.steps] for t in trajectories],
        "total_return": [t.total_return for t in trajectories],
    }


def ids_of(trajectories: Sequence[Trajectory]) -> dict[str, Any]:
    """The arguments of `build_forest_from_ids`, text tables included."""
    tables: dict[str, dict[str, int]] = {"task_ids": {}, "actions": {}, "observations": {}}

    def number(table: str, texts: list[str]) -> np.ndarray[Any, Any]:
        ids = tables[table]
        return np.array([ids.setdefault(text, len(ids)) for text in texts], np.int32)

    return {
        "action_id": number("actions", [s.action for t in trajectories for s in t.steps]),
        "observation_id": number(
            "observations", [s.observation for t in trajectories for s in t.steps]
        ),
        "step_offset": np.cumsum([0, *(len(t.steps) for t in trajectories)]),
        "tree_id": number("task_ids", [t.task_id for t in trajectories]),
        "total_return": np.array([t.total_return for t in trajectories], np.float64),
        **{name: tuple(table) for name, table in tables.items()},
    }


def facts(forest: Forest) -> dict[str, list[Any]]:
    """All that a forest is, as plain lists."""
    texts = ("task_ids", "actions", "observations")
    arrays = (*NODE_ARRAYS, "root", "end_node", "total_return")
    return {
        **{name: list(getattr(forest, name)) for name in texts},
        **{name: getattr(forest, name).tolist() for name in arrays},
    }
