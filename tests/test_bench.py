"""The benchmarks' baselines agree with the core, so that their times mean something."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.core import ours, table, workloads
from bench.core.baselines import dict_trie
from bench.core.jobs import build, packs, pairs, search, states, strings
from bench.core.plan import Plan
from bench.core.texts import Texts
from bench.core.workloads import Workload
from bench.equality import DifferentResultsError, assert_equal


class Tiny(Plan):
    """Workloads of a moment, timed once."""

    w1 = workloads.w1(0.01)
    w2 = workloads.w2(0.004)
    budget = 0.0


PLAN = Tiny(quick=True)
SMALL = [PLAN.w1, PLAN.w2, workloads.w4(0.001), workloads.star(64)]


@pytest.fixture(params=SMALL, ids=lambda workload: workload.name)
def workload(request: pytest.FixtureRequest) -> Iterator[Workload]:
    yield request.param


def test_workloads_have_the_shape_they_claim() -> None:
    for workload, mean in ((workloads.w1(0.1), 13), (workloads.w2(0.1), 15)):
        width = ours.build(workload).num_children
        assert 0.09 < np.mean(width > 1) < 0.14
        length = np.diff(workload.step_offset)
        assert length.max() <= 30
        assert abs(length.mean() - mean) < 2
    large = workloads.w3(0.02)
    assert abs(large.num_steps / large.num_trajectories - 30) < 5  # two tasks
    assert 0.3 < ours.num_nodes(ours.build(large)) / large.num_steps < 0.5


def test_workloads_are_seeded() -> None:
    one, two = workloads.w2(0.01), workloads.w2(0.01)
    assert one.action_id.tobytes() == two.action_id.tobytes()
    assert one.total_return.tobytes() == two.total_return.tobytes()


def test_head_is_the_beginning() -> None:
    head = PLAN.w1.head(3)
    assert head.num_trees == 3
    assert head.tree_id.tolist() == [tree for tree in range(3) for _ in range(7)]
    assert head.action_id.tolist() == PLAN.w1.action_id[: head.num_steps].tolist()


def test_object_tree_build(workload: Workload) -> None:
    assert_measured(build.against_object_tree(PLAN, workload, None))


def test_dict_trie_build(workload: Workload) -> None:
    assert_measured(build.against_dict_trie(PLAN, workload, None))


def test_numba_build(workload: Workload) -> None:
    pytest.importorskip("numba")
    assert_measured(build.against_numba(PLAN, workload, None))


def test_networkx() -> None:
    pytest.importorskip("networkx")
    assert_measured(build.against_networkx(PLAN, PLAN.w1))


def test_object_tree_search(workload: Workload) -> None:
    assert_measured(search.against_object_tree(PLAN, workload, 40, None))


@pytest.mark.parametrize("collapse", [False, True])
def test_python_search(workload: Workload, collapse: bool) -> None:
    assert_measured(search.against_python(PLAN, workload, 40, collapse, None))


def test_numba_search(workload: Workload) -> None:
    pytest.importorskip("numba")
    for row in search.against_numba(PLAN, workload, 200, None):
        assert_measured(row)


def test_openspiel() -> None:
    pytest.importorskip("pyspiel")
    assert_measured(search.against_openspiel(PLAN, PLAN.w1, 40, None))


def test_pairs(workload: Workload) -> None:
    assert_measured(pairs.against_python(PLAN, workload))


def test_states(workload: Workload) -> None:
    graph, paths = states.against_python(PLAN, workload)
    assert_measured(graph)
    assert_measured(paths)


def test_packs() -> None:
    sequences = packs.branching(num_trees=3, num_runs=6, length=30)
    row, *figures = packs.against_python(PLAN, "tiny", sequences)
    assert_measured(row)
    assert [figure.unit for figure in figures] == ["ms", "ms"]


def test_texts_and_ids_make_the_same_trees(workload: Workload) -> None:
    by_id = dict_trie.to_arrays(dict_trie.build(*workload.rows()), with_steps=False)
    by_text = dict_trie.to_arrays(dict_trie.build(*Texts.of(workload).rows()), with_steps=False)
    assert_equal(by_id, by_text, "texts")


def test_strings(workload: Workload) -> None:
    pytest.importorskip("pyarrow")
    rows = [*strings.from_lists(PLAN, workload), *strings.from_arrow(PLAN, workload)]
    assert [row.baseline for row in rows] == ["object tree", *3 * ["dict trie"]]
    assert [row.workload.endswith("hashed before") for row in rows] == [False, False, True, False]


def test_different_results_are_named() -> None:
    ours_, other = ({"depth": np.array([0, 1, value])} for value in (2, 3))
    with pytest.raises(DifferentResultsError, match=r"demo: depth\[2\] = .*2.* != .*3"):
        assert_equal(ours_, other, "demo")


def test_a_missing_package_is_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "baseline", lambda name: None)
    row = build.against_numba(PLAN, PLAN.w1, 1.1)
    assert row.ours_ns is None
    assert row.is_ok is None
    assert "w2stree[bench]" in table.line(row)


def test_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    from bench import __main__ as command

    file = tmp_path / "rows.json"
    monkeypatch.setattr(command, "Plan", Tiny)
    monkeypatch.setattr("sys.argv", ["bench", "--quick", "--only", "pairs", "--json", str(file)])
    monkeypatch.setattr(Tiny, "w3", workloads.w3(0.002))
    assert command.main() == 0
    assert "Python trie" in capsys.readouterr().out
    assert '"kind": "comparison"' in file.read_text()


def assert_measured(row: table.Row) -> None:
    assert isinstance(row, table.Comparison)
    assert row.ratio is not None
    assert row.ratio > 0


@pytest.mark.train
def test_training(tmp_path: Path) -> None:
    pytest.importorskip("trl")
    from bench.training import measured, workloads

    whole = next(workloads.of(PLAN, tmp_path))
    assert len(whole.dealt(3)) == 3
    few = whole.dealt(3)[0]
    few = replace(few, rows=few.rows[:6], tasks=few.tasks[:6], batch_size=4)
    rows = list(measured(PLAN, few, tmp_path))
    assert [row.baseline for row in rows if isinstance(row, table.Comparison)] == [
        "padded",
        "by length",
        "TRL",
    ]
    for row in rows:
        assert row.is_ok is None
        if isinstance(row, table.Comparison):
            assert_measured(row)


@pytest.mark.train
def test_alfworld_runs_have_long_prompts_and_branches(tmp_path: Path) -> None:
    pytest.importorskip("trl")
    from bench.training.workloads import alfworld_with_branches

    file = tmp_path / "train.jsonl.gz"
    played = [
        [f"You are in room {i}.", *(f"{word} {i} {j}" for j in range(8) for word in ("go", "see"))]
        for i in range(60)
    ]
    with gzip.open(file, "wt", encoding="utf-8") as out:
        out.writelines(json.dumps({"gt": p}) + "\n" for p in played)
    runs = alfworld_with_branches(file, num_tasks=2)
    assert [run.total_return for run in runs] == [1.0, *[0.0] * 7] * 2
    expert, *branches = runs[:8]
    assert len(expert.steps) == 8
    assert all(set(b.steps) - set(expert.steps) for b in branches)
    assert alfworld_with_branches(file, num_tasks=2) == runs
