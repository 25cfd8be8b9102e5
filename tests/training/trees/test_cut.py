"""Parts: whole, small enough, and the cheapest there are."""

from __future__ import annotations

from itertools import groupby
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.token_tries import plain_nodes, random_sequences

from w2stree.errors import InvalidInput
from w2stree.training.trees.cut import parts
from w2stree.training.trees.sequences import ScoredIds

FORESTS = st.builds(lambda seed: random_sequences(Random(seed)), st.integers(0, 2**32))
BUDGETS = st.integers(1, 60)


def num_nodes(sequences: list[ScoredIds]) -> int:
    return len(plain_nodes(sequences))


@given(FORESTS, BUDGETS)
@settings(max_examples=300, deadline=None)
def test_parts_hold_every_sequence_once_and_fit(
    sequences: list[ScoredIds], max_tokens: int
) -> None:
    found = parts(sequences, max_tokens)
    assert sorted(np.concatenate(found).tolist()) == list(range(len(sequences)))
    for part in found:
        assert part.dtype == np.int64
        inside = [sequences[i] for i in part]
        longest = max(len(s.ids) for s in inside)
        assert num_nodes(inside) <= max_tokens or num_nodes(inside) == longest


@given(FORESTS, BUDGETS)
@settings(max_examples=300, deadline=None)
def test_trees_that_fit_are_whole(sequences: list[ScoredIds], max_tokens: int) -> None:
    found = parts(sequences, max_tokens)
    for tree in {s.tree for s in sequences}:
        inside = [i for i, s in enumerate(sequences) if s.tree == tree]
        holding = [part for part in found if set(inside) & set(part.tolist())]
        if num_nodes([sequences[i] for i in inside]) <= max_tokens:
            assert len(holding) == 1


@given(FORESTS, BUDGETS)
@settings(max_examples=300, deadline=None)
def test_no_other_parts_in_order_compute_fewer_tokens(
    sequences: list[ScoredIds], max_tokens: int
) -> None:
    found = parts(sequences, max_tokens)
    cost = sum(num_nodes([sequences[i] for i in part]) for part in found)
    assert (cost, len(found)) == least(pieces(sequences, max_tokens), max_tokens)


def pieces(sequences: list[ScoredIds], max_tokens: int) -> list[list[ScoredIds]]:
    """What is never cut: small trees; of large ones each leaf, with what ends on the way to it
    since the leaf before."""
    nodes = plain_nodes(sequences)
    number = {node: i for i, node in enumerate(nodes)}
    end = {i: number[s.tree, tuple(s.ids.tolist())] for i, s in enumerate(sequences)}
    order = sorted(end, key=lambda i: (end[i], i))
    found: list[list[ScoredIds]] = []
    for _, of_tree in groupby(order, key=lambda i: sequences[i].tree):
        tree = [sequences[i] for i in of_tree]
        if num_nodes(tree) <= max_tokens:
            found.append(tree)
            continue
        piece: list[ScoredIds] = []
        for s in tree:
            if piece and s.ids[: len(piece[-1].ids)].tolist() != piece[-1].ids.tolist():
                found.append(piece)
                piece = []
            piece.append(s)
        found.append(piece)
    return found


def least(of: list[list[ScoredIds]], max_tokens: int) -> tuple[int, int]:
    """Tokens and parts of the best consecutive pieces, all ways tried."""
    best = [(0, 0)]
    for j in range(1, len(of) + 1):
        ways = []
        for i in range(j):
            cost = num_nodes([s for piece in of[i:j] for s in piece])
            if cost <= max_tokens or i == j - 1:
                ways.append((best[i][0] + cost, best[i][1] + 1))
        best.append(min(ways))
    return best[-1]


def test_cuts_where_least_is_shared() -> None:
    texts = ["uabc", "uabd", "uae"]  # the picture of cut.py
    sequences = [ScoredIds.of([ord(c) for c in text], [0.0] * len(text)) for text in texts]
    assert [part.tolist() for part in parts(sequences, 5)] == [[0, 1], [2]]
    assert [part.tolist() for part in parts(sequences, 6)] == [[0, 1, 2]]
    assert [part.tolist() for part in parts(sequences, 1)] == [[0], [1], [2]]


def test_duplicates_and_prefixes_of_a_longer_one_cost_nothing() -> None:
    long = [[7] * 90, [7] * 40, [7] * 90, [7] * 90 + [8]]
    sequences = [ScoredIds.of(ids, [0.0] * len(ids)) for ids in long]
    assert [part.tolist() for part in parts(sequences, 10)] == [[1, 0, 2, 3]]


def test_edges() -> None:
    assert parts([], 5) == []
    one = ScoredIds.of([1], [0.0])
    assert [part.tolist() for part in parts([one], 1)] == [[0]]
    with pytest.raises(InvalidInput, match="max_tokens=0; expected 1 or more"):
        parts([one], 0)
