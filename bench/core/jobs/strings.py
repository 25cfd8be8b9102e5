"""Build from texts: Python lists of strings, and Arrow columns.

Ours and the dict trie make the node arrays, the object tree only its objects. Strings are new
in every round, and so are their hashes; "hashed before" gives both the same with hashes that Python
has kept in them, which the dict trie then need not work out. From Arrow, the dict trie pays for
`to_pylist`, because Python must.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

from bench.core import ours
from bench.core.baselines import dict_trie, object_tree
from bench.core.plan import NOT_INSTALLED, Plan
from bench.core.table import Comparison, Row, compared
from bench.core.texts import Rows, Texts, arrow_table
from bench.core.timing import interleaved
from bench.core.workloads import Workload
from bench.equality import assert_equal

BASELINES = ("object tree", "dict trie")


def rows(plan: Plan) -> Iterator[Row]:
    for workload in (plan.w1, plan.w2.head(200)):
        yield from from_lists(plan, workload)
        yield from from_arrow(plan, workload)


def from_lists(plan: Plan, workload: Workload) -> Iterator[Row]:
    name = f"{workload.name}, lists"
    texts = Texts.of(workload)
    expected = dict_trie.to_arrays(dict_trie.build(*texts.rows()), with_steps=False)
    assert_equal(ours.arrays(ours.build_from_texts(*texts.rows())), expected, name)
    del expected
    works = (_with_arrays(ours.build_from_texts), object_tree.build, _dict_trie)
    mine, demo, trie = interleaved(*works, prepare=texts.rows, budget=2 * plan.budget)
    for baseline, timing, at_least in zip(BASELINES, (demo, trie), (3.8, 3.0), strict=True):
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
    mine, trie = interleaved(
        works[0], _dict_trie, prepare=lambda: _hashed(texts.rows()), budget=2 * plan.budget
    )
    yield compared(
        "strings",
        f"{name}, hashed before",
        "step",
        "dict trie",
        mine,
        trie,
        workload.num_steps,
        plan.at_least(3),
    )


def _hashed(rows: Rows) -> Rows:
    for columns in rows[1:3]:
        for texts in columns:
            for text in texts:
                hash(text)  # Python keeps it in the text
    return rows


def from_arrow(plan: Plan, workload: Workload) -> Iterator[Row]:
    name = f"{workload.name}, Arrow"
    if find_spec("pyarrow") is None:
        yield Comparison("strings", name, "step", "dict trie", note=NOT_INSTALLED)
        return
    table = arrow_table(Texts.of(workload))

    def dict_trie_build() -> ours.Arrays:
        return _dict_trie(*(table.column(i).to_pylist() for i in range(4)))

    assert_equal(ours.arrays(ours.build_from_arrow(table)), dict_trie_build(), name)
    mine, its = interleaved(
        lambda: ours.arrays(ours.build_from_arrow(table)), dict_trie_build, budget=plan.budget
    )
    yield compared(
        "strings", name, "step", "dict trie", mine, its, workload.num_steps, plan.at_least(6)
    )


def _with_arrays(build: Any) -> Any:
    return lambda *rows: ours.arrays(build(*rows))


def _dict_trie(*rows: Any) -> ours.Arrays:
    return dict_trie.to_arrays(dict_trie.build(*rows), with_steps=False)
