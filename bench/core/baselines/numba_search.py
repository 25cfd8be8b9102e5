"""UCB search by numba, with and without collapse of unary chains, equal to the core bit for bit.

As good as we can write it while every score is the one of Eq. 7: siblings lie side by side in
memory, logarithms come from a table, means are kept up to date by the back-up so that a score
costs one division and one root, unvisited arms are found by counting, and wide nodes are scored
in a loop of their own, which LLVM vectorises for the CPU at hand (AVX-512 included: numba
compiles here, our wheel must run elsewhere too); that loop takes 1,024 arms a third faster than
the plain one. A maximum in eight chains with a search for its place was slower again.

`prepare` lays the tree out once and is not timed, as the core's tree is built once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

_WIDE = 24  # arms from which the vectorised loop pays


@dataclass(frozen=True, slots=True)
class Layout:
    """Units of search: nodes, or (collapsed) chains of nodes without a choice, and STOP arms.

    Trees one after another, within a tree breadth first, so that siblings are neighbours.
    """

    root: NDArray[np.int32]
    first_arm: NDArray[np.int32]
    num_arms: NDArray[np.int32]
    top: NDArray[np.int32]  # first node of the unit; of a STOP arm its node
    bottom: NDArray[np.int32]  # last one
    is_stop: NDArray[np.bool_]
    value: NDArray[np.float64]  # of ending there
    best_trajectory: NDArray[np.int32]  # to end there


@dataclass(frozen=True, slots=True)
class Result:
    visit_count: NDArray[np.int64]  # by unit
    value_sum: NDArray[np.float64]
    best_end_node: NDArray[np.int32]  # by tree
    best_trajectory: NDArray[np.int32]


def prepare(
    forest: dict[str, NDArray[Any]],
    total_return: NDArray[np.float64],
    *,
    collapse: bool,
    stop_arm: bool = True,
) -> Layout:
    return Layout(
        *_prepare(
            forest["root"],
            forest["subtree_end"],
            forest["num_children"],
            forest["num_terminal"],
            forest["first_trajectory"],
            forest["trajectory_order"],
            total_return,
            collapse,
            stop_arm,
        )
    )


def search(layout: Layout, *, num_simulations: int, exploration: float) -> Result:
    return Result(
        *_search(
            layout.root,
            layout.first_arm,
            layout.num_arms,
            layout.bottom,
            layout.is_stop,
            layout.value,
            layout.best_trajectory,
            num_simulations,
            exploration,
        )
    )


def by_node(layout: Layout, result: Result, num_nodes: int) -> dict[str, NDArray[Any]]:
    """The statistics as the core gives them, for the comparison."""
    columns = _by_node(
        layout.num_arms,
        layout.top,
        layout.bottom,
        layout.is_stop,
        result.visit_count,
        result.value_sum,
        num_nodes,
    )
    names = ("visit_count", "value_sum", "stop_visit_count", "stop_value_sum")
    return {
        **dict(zip(names, columns, strict=True)),
        "best_end_node": result.best_end_node,
        "best_trajectory": result.best_trajectory,
    }


@njit(cache=True)
def _prepare(
    root,
    subtree_end,
    num_children,
    num_terminal,
    first_trajectory,
    trajectory_order,
    total_return,
    collapse,
    stop_arm,
):
    most = 2 * len(subtree_end)
    unit_root = np.empty(len(root), np.int32)
    first_arm = np.zeros(most, np.int32)
    num_arms = np.zeros(most, np.int32)
    top = np.empty(most, np.int32)
    bottom = np.empty(most, np.int32)
    is_stop = np.zeros(most, np.bool_)
    value = np.zeros(most, np.float64)
    best = np.full(most, -1, np.int32)
    n = 0
    for tree in range(len(root)):
        unit_root[tree] = n
        top[n] = root[tree]
        u = n
        n += 1
        while u < n:
            node = top[u]
            if not is_stop[u]:
                while (
                    collapse
                    and num_children[node] == 1
                    and not (stop_arm and num_terminal[node] > 0)
                ):
                    node += 1
            bottom[u] = node
            if is_stop[u] or num_children[node] == 0:
                first = first_trajectory[node]
                total = 0.0
                for i in range(first, first + num_terminal[node]):
                    t = trajectory_order[i]
                    total += total_return[t]
                    if best[u] < 0 or total_return[t] > total_return[best[u]]:
                        best[u] = t
                if num_terminal[node] > 0:
                    value[u] = total / num_terminal[node]
            else:
                first_arm[u] = n
                if stop_arm and num_terminal[node] > 0:
                    top[n] = node
                    is_stop[n] = True
                    n += 1
                child = node + 1
                while child < subtree_end[node]:
                    top[n] = child
                    n += 1
                    child = subtree_end[child]
                num_arms[u] = n - first_arm[u]
            u += 1
    return (
        unit_root,
        first_arm[:n].copy(),
        num_arms[:n].copy(),
        top[:n].copy(),
        bottom[:n].copy(),
        is_stop[:n].copy(),
        value[:n].copy(),
        best[:n].copy(),
    )


@njit(cache=True, error_model="numpy")
def _search(
    root, first_arm, num_arms, bottom, is_stop, value, best_trajectory, num_simulations, exploration
):
    n = len(first_arm)
    visits = np.zeros(n, np.float64)
    value_sum = np.zeros(n, np.float64)
    mean = np.zeros(n, np.float64)
    logarithm = np.empty(num_simulations + 1, np.float64)
    for i in range(num_simulations + 1):
        logarithm[i] = math.log(i + 1e-12)
    widest = 0
    for u in range(n):
        widest = max(widest, num_arms[u])
    score = np.empty(widest, np.float64)
    path = np.empty(1 << 16, np.int32)
    best_end_node = np.full(len(root), -1, np.int32)
    best = np.full(len(root), -1, np.int32)
    for tree in range(len(root)):
        if num_arms[root[tree]] == 0 and best_trajectory[root[tree]] < 0:
            continue
        for _ in range(num_simulations):
            u = root[tree]
            depth = 0
            path[0] = u
            arms = num_arms[u]
            while arms > 0:
                first = first_arm[u]
                total = np.int64(visits[u])
                if arms == 1:
                    u = first
                elif total < arms:
                    u = first + total  # arms are first visited in their order
                elif arms < _WIDE:
                    log_total = logarithm[total]
                    u = first
                    top_score = mean[u]
                    if not is_stop[u]:  # which comes first, and needs no bonus
                        top_score += exploration * math.sqrt(log_total / visits[u])
                    for arm in range(first + 1, first + arms):
                        s = mean[arm] + exploration * math.sqrt(log_total / visits[arm])
                        if s > top_score:
                            top_score = s
                            u = arm
                else:
                    log_total = logarithm[total]
                    for j in range(arms):
                        score[j] = mean[first + j] + exploration * math.sqrt(
                            log_total / visits[first + j]
                        )
                    if is_stop[first]:
                        score[0] = mean[first]
                    best_arm = 0
                    for j in range(1, arms):
                        if score[j] > score[best_arm]:
                            best_arm = j
                    u = first + best_arm
                depth += 1
                path[depth] = u
                arms = num_arms[u]
            v = value[u]
            for i in range(depth + 1):
                u = path[i]
                visits[u] += 1.0
                value_sum[u] += v
                mean[u] = value_sum[u] / visits[u]
        u = root[tree]
        while num_arms[u] > 0:
            arm = -1
            for j in range(first_arm[u], first_arm[u] + num_arms[u]):
                if visits[j] > 0 and (arm < 0 or mean[j] > mean[arm]):
                    arm = j
            u = arm
        best_end_node[tree] = bottom[u]
        best[tree] = best_trajectory[u]
    return visits.astype(np.int64), value_sum, best_end_node, best


@njit(cache=True)
def _by_node(num_arms, top, bottom, is_stop, visits, value_sum, num_nodes):
    visit_count = np.zeros(num_nodes, np.int64)
    node_sum = np.zeros(num_nodes, np.float64)
    stop_count = np.zeros(num_nodes, np.int64)
    stop_sum = np.zeros(num_nodes, np.float64)
    for u in range(len(top)):
        if is_stop[u] or num_arms[u] == 0:
            stop_count[bottom[u]] = visits[u]
            stop_sum[bottom[u]] = value_sum[u]
        if not is_stop[u]:
            for node in range(top[u], bottom[u] + 1):
                visit_count[node] = visits[u]
                node_sum[node] = value_sum[u]
    return visit_count, node_sum, stop_count, stop_sum
