"""Build from ids, all node arrays made: ours against every way to build such a tree."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bench.core import ours
from bench.core.baselines import dict_trie, object_tree
from bench.core.plan import NOT_INSTALLED, Plan, baseline
from bench.core.table import Comparison, Figure, Row, compared
from bench.core.timing import interleaved
from bench.core.workloads import Workload
from bench.equality import DifferentResultsError, assert_equal


def rows(plan: Plan) -> Iterator[Row]:
    for workload in (plan.w1, plan.w2, plan.w3, plan.w4):
        yield shape(workload)
    for workload in (plan.w1, plan.w2):
        yield against_object_tree(plan, workload, plan.at_least(40))
        yield against_dict_trie(plan, workload, plan.at_least(25))
        yield against_numba(plan, workload, plan.at_least(1.1))
    yield against_dict_trie(plan, plan.w3.head(5), None)
    yield against_numba(plan, plan.w3, plan.at_least(1.5))
    yield against_numba(plan, plan.w4, None)
    yield against_networkx(plan, plan.w1.head(200))
    for workload in (plan.w1, plan.w3):
        yield without_arrays(plan, workload)


def shape(workload: Workload) -> Figure:
    forest = ours.build(workload)
    width = forest.num_children
    return Figure(
        "build",
        workload.name,
        f"nodes of {workload.num_steps:,} steps",
        len(width),
        "nodes",
        note=f"{np.mean(width > 1):.1%} branch, {np.mean(width == 0):.1%} are leaves",
    )


def against_object_tree(plan: Plan, workload: Workload, at_least: float | None) -> Row:
    task, actions, observations, total_return = workload.rows()
    forest = ours.arrays(ours.build(workload))
    roots = object_tree.build(task, actions, observations, total_return)
    nodes = [node for root in roots.values() for node in object_tree.preorder(root)]
    is_node = forest["parent"] >= 0  # the demo keeps no step and counts nothing at a root
    of_demo = {
        "action_id": np.array([node.action for node in nodes if node.data_count]),
        "observation_id": np.array([node.state for node in nodes if node.data_count]),
        "num_trajectories": np.array([node.data_count for node in nodes if node.data_count]),
        "return_sum": np.array([node.data_sum for node in nodes if node.data_count]),
    }
    of_ours = {name: forest[name][is_node] for name in of_demo}
    assert_equal(of_ours, of_demo, f"object tree, {workload.name}")
    del roots, nodes
    mine, its = interleaved(
        lambda: ours.build_with_arrays(workload),
        lambda: object_tree.build(task, actions, observations, total_return),
        budget=plan.budget,
    )
    return compared(
        "build", workload.name, "step", "object tree", mine, its, workload.num_steps, at_least
    )


def against_dict_trie(plan: Plan, workload: Workload, at_least: float | None) -> Row:
    task, actions, observations, total_return = workload.rows()

    def build() -> ours.Arrays:
        return dict_trie.to_arrays(dict_trie.build(task, actions, observations, total_return))

    assert_equal(ours.arrays(ours.build(workload)), build(), f"dict trie, {workload.name}")
    mine, its = interleaved(lambda: ours.build_with_arrays(workload), build, budget=plan.budget)
    return compared(
        "build", workload.name, "step", "dict trie", mine, its, workload.num_steps, at_least
    )


def against_numba(plan: Plan, workload: Workload, at_least: float | None) -> Row:
    numba_build = baseline("numba_build")
    if numba_build is None:
        return Comparison("build", workload.name, "step", "numba", note=NOT_INSTALLED)
    expected = numba_build.build(workload)
    assert_equal(ours.arrays(ours.build(workload)), expected, f"numba, {workload.name}")
    del expected
    mine, its = interleaved(
        lambda: ours.build_with_arrays(workload),
        lambda: numba_build.build(workload),
        least=5,
        budget=plan.budget,
    )
    return compared(
        "build", workload.name, "step", "numba", mine, its, workload.num_steps, at_least
    )


def against_networkx(plan: Plan, workload: Workload) -> Row:
    prefix_tree = baseline("prefix_tree")
    if prefix_tree is None:
        return Comparison(
            "build", workload.name, "step", "networkx.prefix_tree", note=NOT_INSTALLED
        )
    task, actions, observations, _ = workload.rows()
    paths: list[list[list[tuple[int, int]]]] = [[] for _ in range(workload.num_trees)]
    for tree, *columns in zip(task, actions, observations, strict=True):
        paths[tree].append(list(zip(*columns, strict=True)))
    forest = ours.arrays(ours.build(workload))
    steps = list(zip(forest["action_id"].tolist(), forest["observation_id"].tolist(), strict=True))
    ends = forest["subtree_end"]
    for root, graph in zip(forest["root"], prefix_tree.build(paths), strict=True):
        found = sorted((int(forest["depth"][n]), steps[n]) for n in range(root + 1, ends[root]))
        if found != prefix_tree.steps_and_depths(graph):
            raise DifferentResultsError(f"networkx.prefix_tree: the tree at node {root}")
    mine, its = interleaved(
        lambda: ours.build_with_arrays(workload),
        lambda: prefix_tree.build(paths),
        budget=plan.budget,
    )
    return compared(
        "build",
        workload.name,
        "step",
        "networkx.prefix_tree",
        mine,
        its,
        workload.num_steps,
        note="counts nothing",
    )


def without_arrays(plan: Plan, workload: Workload) -> Figure:
    (timing,) = interleaved(lambda: ours.build(workload), least=5, budget=plan.budget)
    best, median = timing.ns(workload.num_steps)
    return Figure(
        "build", workload.name, "no node array touched", best, "ns/step", note=f"({median:.4g})"
    )
