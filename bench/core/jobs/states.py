"""The state graph and the best path of each of its trees, against Python."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bench.core import ours
from bench.core.baselines import python_states
from bench.core.plan import Plan
from bench.core.table import Row, compared
from bench.core.timing import interleaved
from bench.core.workloads import Workload
from bench.equality import assert_equal

_NUM_KEYS = 100
_GRAPH = ("node_state", "root_state", "source", "action_id", "target", "count", "value")
_PATHS = ("end", "edge")


def rows(plan: Plan) -> Iterator[Row]:
    for workload in (plan.w1, plan.w2):
        yield from against_python(plan, workload)


def comparable(columns: ours.Arrays) -> ours.Arrays:
    """NaN equals nothing, and no return here is negative."""
    return {**columns, "value": np.nan_to_num(columns["value"], nan=-1.0)}


def against_python(plan: Plan, workload: Workload) -> Iterator[Row]:
    """A hundred keys by observation: some nodes of every tree are one state, and runs go round."""
    forest = ours.build(workload)
    arrays, total_return = ours.arrays(forest), workload.total_return.tolist()
    key = forest.observation_id % _NUM_KEYS
    key[forest.observation_id < 0] = -1
    names = key.tolist()
    expected = python_states.graph(arrays, names, total_return)
    graph = ours.states(forest, key)
    where = f"Python states, {workload.name}"
    assert_equal(
        comparable({name: getattr(graph, name) for name in _GRAPH}), comparable(expected), where
    )
    paths = ours.best_paths(graph)
    expected_paths = python_states.best_paths(expected)
    assert_equal({name: getattr(paths, name) for name in _PATHS}, expected_paths, where)
    num_nodes = ours.num_nodes(forest)
    for what, ours_of, theirs_of in (
        (
            "graph",
            lambda: ours.states(forest, key),
            lambda: python_states.graph(arrays, names, total_return),
        ),
        (
            "best paths",
            lambda: ours.best_paths(graph),
            lambda: python_states.best_paths(expected),
        ),
    ):
        mine, its = interleaved(ours_of, theirs_of, budget=plan.budget)
        note = f"{what}; {num_nodes:,} nodes, {graph.num_states:,} states"
        yield compared(
            "states",
            workload.name,
            "node",
            "Python dicts",
            mine,
            its,
            num_nodes,
            plan.at_least(15),
            note,
        )
