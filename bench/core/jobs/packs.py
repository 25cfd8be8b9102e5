"""A million tokens laid out for training: ours against a trie in Python."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bench.core import ours
from bench.core.baselines import token_trie
from bench.core.plan import Plan
from bench.core.table import Figure, Row, compared
from bench.core.timing import Timing, interleaved
from bench.equality import assert_equal
from w2stree.training.trees.sequences import ScoredIds

_MOST_MS = 50  # a million tokens
_BUDGET = 8_192  # tokens a part


def rows(plan: Plan) -> Iterator[Row]:
    many = 2 if plan.quick else 20
    for name, sequences in (
        ("steps and suffixes", branching(num_trees=many, num_runs=50, length=1_000)),
        ("short rows", branching(num_trees=5 * many, num_runs=50, length=200)),
        ("long histories", branching(num_trees=1, num_runs=many // 2, length=100_000)),
    ):
        yield from against_python(plan, name, sequences)


def branching(*, num_trees: int, num_runs: int, length: int) -> list[ScoredIds]:
    """Each run leaves an earlier one of its tree after a quarter of its tokens, or later.

    A fifth of the tokens are scored.
    """
    random = np.random.default_rng(0)
    found = []
    for tree in range(num_trees):
        runs: list[np.ndarray] = []
        for _ in range(num_runs):
            ids = random.integers(0, 32_000, length, np.int32)
            if runs:
                shared = int(random.integers(length // 4, length))
                ids[:shared] = runs[random.integers(len(runs))][:shared]
            runs.append(ids)
            weight = (random.random(length) < 0.2).astype(np.float32)
            weight[0] = 0
            found.append(ScoredIds(ids, weight, tree))
    return found


def against_python(plan: Plan, name: str, sequences: list[ScoredIds]) -> Iterator[Row]:
    num_tokens = sum(len(s.ids) for s in sequences)
    workload = f"{name}, {len(sequences):,} x {len(sequences[0].ids):,}"
    expected = token_trie.pack(sequences)
    assert_equal(ours.pack(sequences), expected, f"token trie, {workload}")
    mine, its = interleaved(
        lambda: ours.pack(sequences), lambda: token_trie.pack(sequences), budget=plan.budget
    )
    note = f"{num_tokens / len(expected['token']):.2f} tokens a node"
    yield compared(
        "packs", workload, "token", "token trie", mine, its, num_tokens, plan.at_least(20), note
    )
    yield a_million(plan, workload, "a million tokens packed", mine, num_tokens)
    (cutting,) = interleaved(lambda: ours.parts(sequences, _BUDGET), budget=plan.budget / 2)
    num_parts = len(ours.parts(sequences, _BUDGET))
    what = f"a million tokens cut, {num_parts} parts of {_BUDGET:,}"
    yield a_million(plan, workload, what, cutting, num_tokens)


def a_million(plan: Plan, workload: str, what: str, timing: Timing, num_tokens: int) -> Figure:
    best, median = timing.ns(num_tokens)
    note = f"({median:.3g})"
    return Figure("packs", workload, what, best, "ms", plan.at_most(_MOST_MS), note=note)
