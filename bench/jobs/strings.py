"""Build from texts: Python lists of strings, and Arrow columns.

Ours and the dict trie make the node arrays, the object tree only its objects. Strings are new
in every round; from Arrow, the dict trie pays for `to_pylist`, because Python must.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

from bench import ours
from bench.baselines import dict_trie, object_tree
from bench.equality import assert_equal
from bench.plan import NOT_INSTALLED, Plan
from bench.table import Comparison, Row, compared
from bench.texts import Texts, arrow_table
from bench.timing import interleaved
from bench.workloads import Workload

BASELINES = ("object tree", "dict trie")


def rows(plan: Plan) -> Iterator[Row]:
    for workload in (plan.w1, plan.w2.head(200)):
        yield from from_lists(plan, workload)
        yield from from_arrow(plan, workload)


def from_lists(plan: Plan, workload: Workload) -> Iterator[Row]:
    name = f"{workload.name}, lists"
    texts = Texts.of(workload)
    try:
        forest = ours.build_from_texts(*texts.rows())
    except ours.NotInThisBuildError as missing:
        ours_build = None
        note = f"not in this build: {missing}"
    else:
        ours_build = ours.build_from_texts
        note = ""
        expected = dict_trie.to_arrays(dict_trie.build(*texts.rows()), with_steps=False)
        assert_equal(ours.arrays(forest), expected, name)
        del forest, expected
    works = (_with_arrays(ours_build), object_tree.build, _dict_trie)
    mine, demo, trie = interleaved(*works, prepare=texts.rows, budget=2 * plan.budget)
    for baseline, timing, at_least in zip(BASELINES, (demo, trie), (3.8, 3.0), strict=True):
        if ours_build is None:
            best, median = timing.ns(workload.num_steps)
            yield Comparison(
                "strings",
                name,
                "step",
                baseline,
                baseline_ns=best,
                baseline_median_ns=median,
                note=note,
            )
        else:
            yield compared(
                "strings",
                name,
                "step",
                baseline,
                mine,
                timing,
                workload.num_steps,
                plan.at_least(at_least),
            )


def from_arrow(plan: Plan, workload: Workload) -> Iterator[Row]:
    name = f"{workload.name}, Arrow"
    if find_spec("pyarrow") is None:
        yield Comparison("strings", name, "step", "dict trie", note=NOT_INSTALLED)
        return
    table = arrow_table(Texts.of(workload))

    def dict_trie_build() -> ours.Arrays:
        return _dict_trie(*(table.column(i).to_pylist() for i in range(4)))

    try:
        forest = ours.build_from_arrow(table)
    except ours.NotInThisBuildError as missing:
        note = f"not in this build: {missing}"
        yield Comparison("strings", name, "step", "dict trie", note=note)
        return
    assert_equal(ours.arrays(forest), dict_trie_build(), name)
    del forest
    mine, its = interleaved(
        lambda: ours.arrays(ours.build_from_arrow(table)), dict_trie_build, budget=plan.budget
    )
    yield compared(
        "strings", name, "step", "dict trie", mine, its, workload.num_steps, plan.at_least(6)
    )


def _with_arrays(build: Any) -> Any:
    """Nothing to time where the call is missing; the baselines are timed all the same."""
    if build is None:
        return lambda *rows: None
    return lambda *rows: ours.arrays(build(*rows))


def _dict_trie(*rows: Any) -> ours.Arrays:
    return dict_trie.to_arrays(dict_trie.build(*rows), with_steps=False)
