"""`networkx.prefix_tree`, the ready-made function for the shape: nodes and edges, no statistics.

It takes the paths of one task and makes a `DiGraph` with a dict of attributes a node; it counts
nothing and adds a NIL node below every leaf.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import networkx

Graph = Any


def build(paths: Sequence[Sequence[Sequence[tuple[Any, Any]]]]) -> list[Graph]:
    """One graph a task from its trajectories' steps."""
    return [networkx.prefix_tree(task) for task in paths]


def steps_and_depths(graph: Graph) -> list[tuple[int, Any]]:
    """(depth, step) of every node but root and NIL, sorted: what can be compared."""
    found = []
    pending = [(0, 0)]
    while pending:
        node, depth = pending.pop()
        for child in graph[node]:
            if child != -1:
                found.append((depth + 1, graph.nodes[child]["source"]))
                pending.append((child, depth + 1))
    return sorted(found)
