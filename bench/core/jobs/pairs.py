"""Preference pairs: all of W2 against Python, all of W3 streamed."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from bench.core import ours
from bench.core.baselines import dict_trie, python_pairs
from bench.core.plan import Plan
from bench.core.table import Figure, Row, compared
from bench.core.timing import interleaved
from bench.core.workloads import Workload
from bench.equality import assert_equal, in_order

CHUNK_SIZE = 65_536
_COLUMNS = ours.PAIR_COLUMNS[:3]


def rows(plan: Plan) -> Iterator[Row]:
    yield against_python(plan, plan.w2)
    forest = ours.build(plan.w3)
    (counting,) = interleaved(lambda: ours.count_pairs(forest), budget=plan.budget / 2)
    total = ours.count_pairs(forest)
    name = f"counting {total:,} pairs"
    yield Figure(
        "pairs", plan.w3.name, name, counting.best / ours.num_nodes(forest) * 1e9, "ns/node"
    )
    yield streamed(plan, plan.w2, plan.w3, forest)


def against_python(plan: Plan, workload: Workload) -> Row:
    forest = ours.build(workload)
    trie = dict_trie.to_arrays(dict_trie.build(*workload.rows()))
    total_return = workload.total_return.tolist()

    def search_all() -> python_pairs.Columns:
        return python_pairs.pairs(trie, total_return, 0.0)

    expected = in_order(dict(zip(ours.PAIR_COLUMNS, search_all(), strict=True)))
    assert_equal(in_order(ours.pairs(forest)), in_order(expected), f"Python trie, {workload.name}")
    mine, its = interleaved(lambda: ours.pairs(forest), search_all, budget=plan.budget)
    num_pairs = len(expected["gap"])
    note = f"{num_pairs:,} pairs"
    return compared(
        "pairs",
        workload.name,
        "pair",
        "Python trie",
        mine,
        its,
        num_pairs,
        plan.at_least(60),
        note,
    )


def streamed(plan: Plan, small: Workload, large: Workload, forest: ours.Forest) -> Row:
    """Rate over the chunks of `large` for a second or two; the chunks of `small` are checked."""
    name = f"streamed in chunks of {CHUNK_SIZE:,}"
    _assert_stream_equals_pairs(small)
    seconds = []
    for _ in range(3):
        num_pairs = 0
        start = time.process_time()
        for chunk in ours.stream_pairs(forest, chunk_size=CHUNK_SIZE):
            num_pairs += len(chunk)
            if num_pairs >= 1_000_000_000:
                break
        seconds.append(time.process_time() - start)
    rate = num_pairs / min(seconds) / 1e6
    note = f"{num_pairs:,} pairs"
    return Figure(
        "pairs", large.name, name, rate, "M pairs/s", at_least=plan.at_least(500), note=note
    )


def _assert_stream_equals_pairs(workload: Workload) -> None:
    forest = ours.build(workload)
    chunks = list(ours.stream_pairs(forest, chunk_size=CHUNK_SIZE))
    streamed = {
        name: np.concatenate([getattr(chunk, name) for chunk in chunks]) for name in _COLUMNS
    }
    expected = ours.pairs(forest)
    assert_equal(streamed, {name: expected[name] for name in _COLUMNS}, "streamed pairs")
