"""The state graph in careful Python: dictionaries for states and edges, breadth first in lists.

What is looked up again and again is in local lists; a tree's dictionary of states is dropped with
the tree; equal steps are found by one dictionary whose keys sort as the edges do.
"""

from __future__ import annotations

from math import nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

Columns = dict[str, NDArray[Any]]


def graph(forest: dict[str, NDArray[Any]], key: list[int], total_return: list[float]) -> Columns:
    """`forest`: its node arrays, `root` and `end_node`."""
    parent, action_id = forest["parent"].tolist(), forest["action_id"].tolist()
    node_state: list[int] = []
    known: dict[int, int] = {}
    root_state: list[int] = []
    num_states = 0
    for above, name in zip(parent, key, strict=True):
        if above < 0:
            known = {}
            root_state.append(num_states)
        state = known.setdefault(name, num_states) if name >= 0 else num_states
        num_states += state == num_states
        node_state.append(state)
    count: dict[tuple[int, int, int], int] = {}
    passing = forest["num_trajectories"].tolist()
    for node, above in enumerate(parent):
        if above >= 0:
            edge = node_state[above], action_id[node], node_state[node]
            count[edge] = count.get(edge, 0) + passing[node]
    value = [nan] * num_states
    for node, earned in zip(forest["end_node"].tolist(), total_return, strict=True):
        state = node_state[node]
        if not earned <= value[state]:
            value[state] = earned
    edges = sorted(count)
    source, action, target = zip(*edges, strict=True)
    return {
        "node_state": np.array(node_state, np.int32),
        "root_state": np.array(root_state, np.int32),
        "source": np.array(source, np.int32),
        "action_id": np.array(action, np.int32),
        "target": np.array(target, np.int32),
        "count": np.array([count[edge] for edge in edges], np.int64),
        "value": np.array(value, np.float64),
    }


def best_paths(columns: Columns) -> Columns:
    """From each root to its tree's best state; edges one path after another."""
    value, target = columns["value"].tolist(), columns["target"].tolist()
    source = columns["source"].tolist()
    first_edge = np.searchsorted(columns["source"], np.arange(len(value) + 1)).tolist()
    ends: list[int] = []
    edges: list[int] = []
    for root in columns["root_state"].tolist():
        distance = {root: 0}
        via: dict[int, int] = {}
        queue = [root]
        for state in queue:
            for edge in range(first_edge[state], first_edge[state + 1]):
                other = target[edge]
                if other not in distance:
                    distance[other] = distance[state] + 1
                    via[other] = edge
                    queue.append(other)
        worth = [value[state] for state in queue if value[state] == value[state]]
        least = max(worth) - 1e-9  # equal but for rounding: returns here are below 1,000
        wanted = [state for state in queue if value[state] >= least]
        state = min(wanted, key=lambda state: (distance[state], state))
        ends.append(state)
        path = []
        while state != root:
            path.append(via[state])
            state = source[via[state]]
        edges += reversed(path)
    return {"end": np.array(ends, np.int32), "edge": np.array(edges, np.int32)}
