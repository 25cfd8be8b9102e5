"""Preference pairs in careful Python on the dict trie's arrays.

At each divergence the trajectories are grouped by action once, then every two groups are
compared in local loops; columns are filled side by side. Nothing is looked up that can be
unpacked. Comparing is not avoidable: nearly every comparison yields a pair.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

Columns = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32], NDArray[np.float64]]


def pairs(forest: dict[str, NDArray[Any]], total_return: list[float], min_gap: float) -> Columns:
    """Divergence, chosen, rejected and gap, in no particular order within a divergence."""
    subtree_end = forest["subtree_end"].tolist()
    action_id = forest["action_id"].tolist()
    num_trajectories = forest["num_trajectories"].tolist()
    first_trajectory = forest["first_trajectory"].tolist()
    order = forest["trajectory_order"].tolist()
    divergence: list[int] = []
    chosen: list[int] = []
    rejected: list[int] = []
    gaps: list[float] = []
    for node in np.flatnonzero(forest["num_actions"] >= 2).tolist():
        groups: dict[int, list[tuple[int, float]]] = {}
        child = node + 1
        while child < subtree_end[node]:
            first = first_trajectory[child]
            group = groups.setdefault(action_id[child], [])
            for t in order[first : first + num_trajectories[child]]:
                group.append((t, total_return[t]))
            child = subtree_end[child]
        before = len(chosen)
        for left, right in combinations(groups.values(), 2):
            for t, value in left:
                for u, other in right:
                    gap = value - other
                    if gap > 0:
                        if gap >= min_gap:
                            chosen.append(t)
                            rejected.append(u)
                            gaps.append(gap)
                    elif gap < 0 and -gap >= min_gap:
                        chosen.append(u)
                        rejected.append(t)
                        gaps.append(-gap)
        divergence.extend([node] * (len(chosen) - before))
    return (
        np.array(divergence, np.int32),
        np.array(chosen, np.int32),
        np.array(rejected, np.int32),
        np.array(gaps, np.float64),
    )
