"""Search: ours against the demo's style, careful Python, OpenSpiel's C++ and numba.

Trees, and the layouts the baselines prepare from them, are made before; what is timed is the
search and its best paths. Both sides search the same trees: where a baseline is slow, few.
The object tree knows no STOP arm, so ours leaves it out there as well. OpenSpiel gives STOP the
bonus of any arm: its descents differ from ours where trajectories end inside, its work does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.core import ours
from bench.core.baselines import object_tree, python_ucb
from bench.core.plan import EXPLORATION, NOT_INSTALLED, Plan, baseline
from bench.core.table import Comparison, Row, compared
from bench.core.timing import Timing, interleaved
from bench.core.workloads import Workload
from bench.equality import DifferentResultsError, assert_equal


def rows(plan: Plan) -> Iterator[Row]:
    sims = 200 if plan.quick else 1_000
    for workload, few in ((plan.w1, 20), (plan.w2, 5)):
        yield against_object_tree(plan, workload.head(few), sims, plan.at_least(800))
        some = workload.head(10 * few)
        yield against_python(plan, some, sims, False, plan.at_least(45))
        yield against_python(plan, some, sims, True, None)
        yield against_openspiel(plan, some, sims, plan.at_least(5))
        yield from against_numba(plan, workload, sims, plan.at_least(2))
    yield from against_numba(plan, plan.w3, sims, plan.at_least(3))
    yield from against_numba(plan, plan.w3, 10 * sims, plan.at_least(3))
    yield from against_numba(plan, plan.w4, 1_000 * sims, None)
    yield from against_numba(plan, plan.star, 50 * sims, plan.at_least(15))
    yield against_openspiel(plan, plan.star, 20 * sims, None)


def against_object_tree(plan: Plan, workload: Workload, sims: int, at_least: float | None) -> Row:
    forest = ours.build(workload)
    trees = list(object_tree.build(*workload.rows()).values())

    def search_ours() -> Any:
        return ours.search(forest, num_simulations=sims, exploration=EXPLORATION, stop_arm=False)

    def search_all() -> None:
        for tree in trees:
            object_tree.search(tree, sims, EXPLORATION)

    def forget() -> tuple[()]:
        for tree in trees:
            object_tree.reset(tree)
        return ()

    search_all()
    nodes = [node for tree in trees for node in object_tree.preorder(tree)]
    is_root = np.array(forest.parent) < 0  # the demo does not count there
    expected = {
        "visit_count": np.array([node.search_count for node in nodes])[~is_root],
        "value_sum": np.array([node.search_sum for node in nodes])[~is_root],
    }
    found = ours.statistics(search_ours())
    assert_equal(
        {name: found[name][~is_root] for name in expected}, expected, f"demo, {workload.name}"
    )
    mine, its = interleaved(search_ours, search_all, prepare=forget, budget=plan.budget)
    return _row(workload, sims, "object tree", mine, its, at_least)


def against_python(
    plan: Plan, workload: Workload, sims: int, collapse: bool, at_least: float | None
) -> Row:
    forest = ours.build(workload)
    arrays = ours.arrays(forest)
    trees = [
        python_ucb.prepare(arrays, workload.total_return, tree, collapse=collapse)
        for tree in range(workload.num_trees)
    ]

    def search_all() -> list[python_ucb.Result]:
        return [
            python_ucb.search(tree, num_simulations=sims, exploration=EXPLORATION) for tree in trees
        ]

    found = ours.statistics(_search(forest, sims))
    for tree, (units, result) in enumerate(zip(trees, search_all(), strict=True)):
        _assert_same_search(found, tree, units, result)
    mine, its = interleaved(lambda: _search(forest, sims), search_all, budget=plan.budget)
    name = "careful Python, collapsed" if collapse else "careful Python"
    return _row(workload, sims, name, mine, its, at_least)


def against_openspiel(plan: Plan, workload: Workload, sims: int, at_least: float | None) -> Row:
    openspiel = baseline("openspiel")
    if openspiel is None:
        return Comparison("search", workload.name, "sim", "OpenSpiel", note=NOT_INSTALLED)
    arrays = ours.arrays(ours.build(workload))
    trees = [
        python_ucb.prepare(arrays, workload.total_return, tree, collapse=True)
        for tree in range(workload.num_trees)
    ]
    # A root without a choice is no game to OpenSpiel: it stops at once.
    is_game = np.array([len(tree.arms[0]) > 1 for tree in trees])
    workload = workload.select(np.flatnonzero(is_game))
    forest = ours.build(workload)
    games = [openspiel.load(tree) for tree, ok in zip(trees, is_game, strict=True) if ok]

    def search_all() -> list[Any]:
        return [
            openspiel.search(game, num_simulations=sims, exploration=EXPLORATION) for game in games
        ]

    if any(root.explore_count != sims for root in search_all()):
        raise DifferentResultsError("OpenSpiel stopped before its last simulation")
    mine, its = interleaved(lambda: _search(forest, sims), search_all, budget=plan.budget)
    return _row(workload, sims, "OpenSpiel (C++), collapsed", mine, its, at_least)


def against_numba(
    plan: Plan, workload: Workload, sims: int, at_least: float | None
) -> Iterator[Row]:
    numba_search = baseline("numba_search")
    if numba_search is None:
        yield Comparison("search", workload.name, "sim", "numba, collapsed", note=NOT_INSTALLED)
        return
    forest = ours.build(workload)
    arrays = ours.arrays(forest)
    layouts = [
        numba_search.prepare(arrays, workload.total_return, collapse=collapse)
        for collapse in (True, False)
    ]

    def search(layout: Any) -> Any:
        return numba_search.search(layout, num_simulations=sims, exploration=EXPLORATION)

    found = ours.statistics(_search(forest, sims))
    for layout in layouts:
        expected = numba_search.by_node(layout, search(layout), ours.num_nodes(forest))
        assert_equal(found, expected, f"numba, {workload.name}")
    mine, collapsed, plain = interleaved(
        lambda: _search(forest, sims),
        lambda: search(layouts[0]),
        lambda: search(layouts[1]),
        least=5,
        budget=1.5 * plan.budget,
    )
    yield _row(workload, sims, "numba, collapsed", mine, collapsed, at_least)
    yield _row(workload, sims, "numba", mine, plain, None)


def _search(forest: Any, sims: int) -> Any:
    return ours.search(forest, num_simulations=sims, exploration=EXPLORATION)


def _assert_same_search(
    found: ours.Arrays, tree: int, units: python_ucb.Tree, result: python_ucb.Result
) -> None:
    expected = [result.best_end_node, result.best_trajectory]
    if [int(found[name][tree]) for name in ours.BEST] != expected:
        raise DifferentResultsError(f"careful Python: best path of tree {tree}")
    for unit, node in enumerate(units.bottom):
        kind = "stop_" if units.is_stop[unit] else ""
        got = (found[f"{kind}visit_count"][node], found[f"{kind}value_sum"][node])
        if got != (result.visits[unit], result.value_sum[unit]):
            raise DifferentResultsError(f"careful Python: statistics of node {node}")


def _row(
    workload: Workload, sims: int, name: str, mine: Timing, its: Timing, at_least: float | None
) -> Comparison:
    total = sims * workload.num_trees
    label = workload.name if sims == 1_000 else f"{workload.name}, {sims:,} sims"
    return compared("search", label, "sim", name, mine, its, total, at_least)
