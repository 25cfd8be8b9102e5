"""What it means for two forests, searches or lists of pairs to be equal, and to the oracle."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from support import oracle

from w2stree import Forest, PreferencePairs, SearchResult, Trajectory

FOREST_COLUMNS = (
    *("root", "parent", "subtree_end", "action_id", "observation_id", "depth", "num_children"),
    *("num_actions", "num_trajectories", "num_terminal", "first_trajectory", "return_sum"),
    *("end_node", "trajectory_order", "total_return"),
)
SEARCH_COLUMNS = (
    *("visit_count", "value_sum", "value_max", "stop_visit_count", "stop_value_sum"),
    *("num_simulations", "best_end_node", "best_trajectory"),
    *("path_tree", "path_end_node", "path_trajectory", "path_value", "path_visit_count"),
)


# Two of ours: every bit -----------------------------------------------------------------------


def assert_same_forest(left: Forest, right: Forest) -> None:
    """All but the trajectories' payload, which files and columns do not hold."""
    for name in FOREST_COLUMNS:
        ours, theirs = getattr(left, name), getattr(right, name)
        assert ours.dtype == theirs.dtype and ours.tobytes() == theirs.tobytes(), name
    for name in ("task_ids", "actions", "observations"):
        assert list(getattr(left, name)) == list(getattr(right, name)), name
    assert left.num_errors == right.num_errors
    assert left.digest() == right.digest()


def assert_same_search(left: SearchResult, right: SearchResult) -> None:
    for name in SEARCH_COLUMNS:
        assert getattr(left, name).tobytes() == getattr(right, name).tobytes(), name


# Ours and the oracle's ------------------------------------------------------------------------


def keys(forest: Forest) -> list[tuple[str, str] | None]:
    return [
        None if a < 0 else (forest.actions[a], forest.observations[o])
        for a, o in zip(forest.action_id, forest.observation_id, strict=True)
    ]


def assert_forest_equals_oracle(forest: Forest, trajectories: Sequence[Trajectory]) -> None:
    roots = oracle.build(trajectories)
    nodes = oracle.all_nodes(roots)
    number = {node: i for i, node in enumerate(nodes)}
    assert forest.task_ids == tuple(roots)
    assert forest.root.tolist() == [number[root] for root in roots.values()]
    assert keys(forest) == [node.key for node in nodes]
    assert forest.parent.tolist() == [number.get(node.parent, -1) for node in nodes]
    assert forest.depth.tolist() == [node.depth for node in nodes]
    assert forest.subtree_end.tolist() == [
        i + sum(1 for _ in node.preorder()) for i, node in enumerate(nodes)
    ]
    assert forest.num_children.tolist() == [len(node.children) for node in nodes]
    assert forest.num_actions.tolist() == [len({a for a, _ in node.children}) for node in nodes]
    assert forest.num_trajectories.tolist() == [len(node.through) for node in nodes]
    assert forest.num_terminal.tolist() == [len(node.ending) for node in nodes]
    assert forest.return_sum.tolist() == [
        oracle.add_up([trajectories[t].total_return for t in node.through]) for node in nodes
    ]
    assert forest.total_return.tolist() == [t.total_return for t in trajectories]
    for i, node in enumerate(nodes):
        begin = forest.first_trajectory[i]
        slice_ = forest.trajectory_order[begin : begin + forest.num_trajectories[i]].tolist()
        assert sorted(slice_) == node.through
        assert slice_[: len(node.ending)] == node.ending
        assert all(forest.end_node[t] == i for t in node.ending)
    assert forest.step_node.tolist() == [
        number[node] for t in trajectories for node in oracle.path_of(roots, t)
    ]


def assert_search_equals_oracle(
    result: SearchResult, trajectories: Sequence[Trajectory], options: dict
) -> None:
    roots = oracle.build(trajectories)
    nodes = oracle.all_nodes(roots)
    number = {node: i for i, node in enumerate(nodes)}
    paths = [oracle.Search(**options)(trajectories, root) for root in roots.values()]
    every_path = [path for of_tree in paths for path in of_tree]
    expected = {
        "visit_count": [node.visit_count for node in nodes],
        "value_sum": [node.value_sum for node in nodes],
        "value_max": [node.value_max for node in nodes],
        "stop_visit_count": [node.stop.visit_count for node in nodes],
        "stop_value_sum": [node.stop.value_sum for node in nodes],
        "num_simulations": [root.visit_count for root in roots.values()],
        "best_end_node": [number[of_tree[0].end] for of_tree in paths],
        "best_trajectory": [of_tree[0].trajectory for of_tree in paths],
        "path_tree": [tree for tree, of_tree in enumerate(paths) for _ in of_tree],
        "path_end_node": [number[path.end] for path in every_path],
        "path_trajectory": [path.trajectory for path in every_path],
        "path_value": [path.value for path in every_path],
        "path_visit_count": [path.visit_count for path in every_path],
    }
    assert sorted(expected) == sorted(SEARCH_COLUMNS)
    for name, values in expected.items():
        # Sees the last bit, but takes every NaN for equal.
        np.testing.assert_array_equal(getattr(result, name), values, err_msg=name)
    assert [
        [(path.end_node, path.value, path.visit_count) for path in of_tree]
        for of_tree in result.paths()
    ] == [
        [(number[path.end], path.value, path.visit_count) for path in of_tree] for of_tree in paths
    ]


def assert_search_equals_demo(
    forest: Forest, trajectories: Sequence[Trajectory], num_simulations: int, exploration: float
) -> None:
    """The search without stop arm against the authors' demo, for returns from -1 to 1: a range
    twice as wide, and half the exploration, which is exact."""
    result = forest.search(
        num_simulations=num_simulations,
        exploration=exploration / 2,
        return_range=(-1.0, 1.0),
        stop_arm=False,
    )
    for tree_id, task_id in enumerate(forest):
        root = oracle.demo_build([t for t in trajectories if t.task_id == task_id])
        oracle.demo_search(root, num_simulations, exploration)
        begin = forest.root[tree_id]
        for node, demo in enumerate(oracle.demo_preorder(root), start=begin):
            if demo is root:
                continue  # the demo does not count at the root
            assert result.visit_count[node] == demo.search_count
            assert result.value_sum[node] == demo.search_sum
        best = forest.trajectories[result.best_trajectory[tree_id]]
        path = [(demo.action, demo.state) for demo in oracle.demo_best_path(root)]
        assert [(step.action, step.observation) for step in best.steps] == path


def rows(pairs: PreferencePairs) -> list[oracle.Pair]:
    columns = (pairs.divergence, pairs.chosen, pairs.rejected, pairs.gap)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def expected_rows(trajectories: Sequence[Trajectory], rule: dict) -> list[oracle.Pair]:
    return oracle.pairs(trajectories, oracle.build(trajectories), **rule)


def is_subsequence(part: list, whole: list) -> bool:
    position = {row: i for i, row in enumerate(whole)}
    found = [position.get(row, -1) for row in part]
    return -1 not in found and bool((np.diff(found) > 0).all())
