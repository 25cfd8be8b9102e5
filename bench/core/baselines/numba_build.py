"""The forest built by numba: all node arrays from id columns, in the core's order.

As good as we can write it, the same idea as the core's rather than a naive trie: trajectories
go into a path-compressed tree, one run of unary nodes a piece, so that a step costs one
comparison with the run's first trajectory (contiguous memory) and only branches walk pointers.
Each finished tree, still in cache, is then written out in pre-order run by run. Columns are
allocated for the greatest possible size, of which untouched pages cost nothing, and cut.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from bench.core.ours import NODE_ARRAYS, OTHER_ARRAYS
from bench.core.workloads import Workload

NAMES = (*NODE_ARRAYS, *OTHER_ARRAYS)  # in the order of what _build returns


_FEW = 16  # children compared with one another; more are sorted


def build(workload: Workload) -> dict[str, NDArray[Any]]:
    """Node arrays by name, as the core's forest names them."""
    columns = _build(
        workload.action_id,
        workload.observation_id,
        workload.step_offset,
        workload.tree_id,
        workload.total_return,
        workload.num_trees,
    )
    return dict(zip(NAMES, columns, strict=True))


@njit(cache=True)
def _order_by_tree(tree_id, num_trees):
    begin = np.zeros(num_trees + 1, np.int32)
    for t in tree_id:
        begin[t + 1] += 1
    for t in range(num_trees):
        begin[t + 1] += begin[t]
    order = np.empty(len(tree_id), np.int32)
    fill = begin[:-1].copy()
    for i in range(len(tree_id)):
        t = tree_id[i]
        order[fill[t]] = i
        fill[t] += 1
    return order, begin


@njit(inline="always")
def _key(action, observation):
    return (np.int64(action) << 32) | np.int64(observation)


@njit(inline="always")
def _grow(
    rows,
    action_id,
    observation_id,
    step_offset,
    total_return,
    run_begin,
    run_end,
    first_step,
    key,
    first_child,
    last_child,
    next_sibling,
    count,
    num_terminal,
    return_sum,
    end_run,
):
    """The compressed tree of `rows`; returns its root run and how many runs it has.

    Run s covers the depths run_begin[s] to run_end[s]; its steps are those of one trajectory,
    whose step column begins at first_step[s]; key[s] is the step into it. A split keeps s as
    the lower half, so that what ends there (end_run) stays true.
    """
    run_begin[0] = 0
    run_end[0] = 0
    first_step[0] = 0
    key[0] = 0
    first_child[0] = last_child[0] = next_sibling[0] = -1
    count[0] = num_terminal[0] = 0
    return_sum[0] = 0.0
    if len(rows) == 0:
        return 0, 1
    first_step[0] = step_offset[rows[0]]
    run_end[0] = step_offset[rows[0] + 1] - first_step[0]
    root = 0
    num_runs = 1
    for row in rows:
        begin = step_offset[row]
        length = np.int32(step_offset[row + 1] - begin)
        value = total_return[row]
        s = root
        above = -1
        before = -1
        while True:
            d = run_begin[s]
            limit = min(run_end[s], length)
            other = first_step[s]
            while (
                d < limit
                and action_id[other + d] == action_id[begin + d]
                and observation_id[other + d] == observation_id[begin + d]
            ):
                d += 1
            if d < run_end[s]:
                upper = num_runs
                num_runs += 1
                run_begin[upper] = run_begin[s]
                run_end[upper] = d
                run_begin[s] = d + 1
                first_step[upper] = other
                key[upper] = key[s]
                key[s] = _key(action_id[other + d], observation_id[other + d])
                count[upper] = count[s]
                num_terminal[upper] = 0
                return_sum[upper] = return_sum[s]
                first_child[upper] = last_child[upper] = s
                next_sibling[upper] = next_sibling[s]
                next_sibling[s] = -1
                if above < 0:
                    root = upper
                else:
                    if before < 0:
                        first_child[above] = upper
                    else:
                        next_sibling[before] = upper
                    if last_child[above] == s:
                        last_child[above] = upper
                s = upper
            count[s] += 1
            return_sum[s] += value
            if d == length:
                num_terminal[s] += 1
                end_run[row] = s
                break
            next_step = _key(action_id[begin + d], observation_id[begin + d])
            before = -1
            child = first_child[s]
            while child >= 0 and key[child] != next_step:
                before = child
                child = next_sibling[child]
            if child < 0:
                leaf = num_runs
                num_runs += 1
                run_begin[leaf] = d + 1
                run_end[leaf] = length
                first_step[leaf] = begin
                key[leaf] = next_step
                first_child[leaf] = last_child[leaf] = next_sibling[leaf] = -1
                count[leaf] = num_terminal[leaf] = 1
                return_sum[leaf] = 0.0 + value
                if first_child[s] < 0:
                    first_child[s] = leaf
                else:
                    next_sibling[last_child[s]] = leaf
                last_child[s] = leaf
                end_run[row] = leaf
                break
            above = s
            s = child
    return root, num_runs


@njit(inline="always")
def _preorder(root, run_begin, run_end, first_child, next_sibling, order, above, size, pending):
    """Runs in pre-order, with the place of the run above each and the nodes below and in it."""
    num_runs = 0
    num_pending = 1
    pending[0, 0] = root
    pending[0, 1] = -1
    while num_pending > 0:
        num_pending -= 1
        s = pending[num_pending, 0]
        place = num_runs
        num_runs += 1
        order[place] = s
        above[place] = pending[num_pending, 1]
        size[place] = run_end[s] - run_begin[s] + 1
        # The last child lies deepest in the stack: push in order, then turn round.
        low = num_pending
        child = first_child[s]
        while child >= 0:
            pending[num_pending, 0] = child
            pending[num_pending, 1] = place
            num_pending += 1
            child = next_sibling[child]
        high = num_pending - 1
        while low < high:
            pending[low, 0], pending[high, 0] = pending[high, 0], pending[low, 0]
            low += 1
            high -= 1
    for place in range(num_runs - 1, 0, -1):
        size[above[place]] += size[place]


@njit(inline="always")
def _count_actions(s, key, first_child, next_sibling):
    num_children = 0
    num_actions = 0
    child = first_child[s]
    while child >= 0:
        num_children += 1
        if num_children <= _FEW:
            other = first_child[s]
            while (key[other] ^ key[child]) >> 32 != 0:
                other = next_sibling[other]
            num_actions += other == child
        child = next_sibling[child]
    if num_children > _FEW:
        ids = np.empty(num_children, np.int64)
        child = first_child[s]
        for i in range(num_children):
            ids[i] = key[child] >> 32
            child = next_sibling[child]
        ids.sort()
        num_actions = 1
        for i in range(1, num_children):
            num_actions += ids[i] != ids[i - 1]
    return num_children, num_actions


@njit(cache=True)
def _build(action_id, observation_id, step_offset, tree_id, total_return, num_trees):
    num_rows = len(tree_id)
    most = len(action_id) + num_trees
    parent = np.empty(most, np.int32)
    node_action = np.empty(most, np.int32)
    node_observation = np.empty(most, np.int32)
    depth = np.empty(most, np.int32)
    subtree_end = np.empty(most, np.int32)
    num_children = np.empty(most, np.int32)
    num_actions = np.empty(most, np.int32)
    num_trajectories = np.empty(most, np.int32)
    num_terminal = np.empty(most, np.int32)
    first_trajectory = np.empty(most, np.int32)
    return_sum = np.empty(most, np.float64)
    root = np.empty(num_trees, np.int32)
    end_node = np.empty(num_rows, np.int32)
    trajectory_order = np.empty(num_rows, np.int32)

    rows, tree_begin = _order_by_tree(tree_id, num_trees)
    widest = 0
    for t in range(num_trees):
        widest = max(widest, tree_begin[t + 1] - tree_begin[t])
    runs = 2 * widest + 1  # a trajectory adds a leaf and splits one run at most
    run_begin = np.empty(runs, np.int32)
    run_end = np.empty(runs, np.int32)
    first_step = np.empty(runs, np.int64)
    key = np.empty(runs, np.int64)
    first_child = np.empty(runs, np.int32)
    last_child = np.empty(runs, np.int32)
    next_sibling = np.empty(runs, np.int32)
    count = np.empty(runs, np.int32)
    ending = np.empty(runs, np.int32)
    value = np.empty(runs, np.float64)
    order = np.empty(runs, np.int32)
    above = np.empty(runs, np.int32)
    size = np.empty(runs, np.int32)
    last_node = np.empty(runs, np.int32)
    fill = np.empty(runs, np.int32)
    pending = np.empty((runs, 2), np.int32)
    end_run = np.empty(num_rows, np.int32)

    n = 0
    num_placed = 0
    for tree in range(num_trees):
        own = rows[tree_begin[tree] : tree_begin[tree + 1]]
        root[tree] = n
        top, num_runs = _grow(
            own,
            action_id,
            observation_id,
            step_offset,
            total_return,
            run_begin,
            run_end,
            first_step,
            key,
            first_child,
            last_child,
            next_sibling,
            count,
            ending,
            value,
            end_run,
        )
        _preorder(top, run_begin, run_end, first_child, next_sibling, order, above, size, pending)
        for place in range(num_runs):
            s = order[place]
            d = run_begin[s]
            length = run_end[s] - d + 1
            step = first_step[s] + d - 1
            end = n + size[place]
            for k in range(length):
                parent[n + k] = n + k - 1
                depth[n + k] = d + k
                num_children[n + k] = 1
                num_actions[n + k] = 1
                num_terminal[n + k] = 0
                num_trajectories[n + k] = count[s]
                first_trajectory[n + k] = num_placed
                subtree_end[n + k] = end
                return_sum[n + k] = value[s]
                node_action[n + k] = action_id[step + k] if d + k > 0 else -1
                node_observation[n + k] = observation_id[step + k] if d + k > 0 else -1
            parent[n] = last_node[order[above[place]]] if place > 0 else -1
            n += length
            last_node[s] = n - 1
            fill[s] = num_placed
            num_placed += ending[s]
            num_terminal[n - 1] = ending[s]
            num_children[n - 1], num_actions[n - 1] = _count_actions(
                s, key, first_child, next_sibling
            )
        for row in own:
            s = end_run[row]
            end_node[row] = last_node[s]
            trajectory_order[fill[s]] = row
            fill[s] += 1
    return (
        parent[:n],
        node_action[:n],
        node_observation[:n],
        depth[:n],
        subtree_end[:n],
        num_children[:n],
        num_actions[:n],
        num_trajectories[:n],
        num_terminal[:n],
        first_trajectory[:n],
        return_sum[:n],
        root,
        end_node,
        trajectory_order,
    )
