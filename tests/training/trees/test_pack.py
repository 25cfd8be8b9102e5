"""Packs against a plain trie: nodes, order, ends, entries, the mask, the digest, refusals."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Sequence
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from support.token_tries import plain_nodes, random_sequences

from w2stree.errors import InvalidInput
from w2stree.training.trees.pack import Pack, pack
from w2stree.training.trees.sequences import ScoredIds
from w2stree.training.trees.tries import lay_out

SEEDS = range(250)


def abc(text: str, tree: int = 0, weight: Sequence[float] | None = None) -> ScoredIds:
    return ScoredIds.of([ord(c) for c in text], weight or [0] + [1] * (len(text) - 1), tree)


@pytest.mark.parametrize("seed", SEEDS)
def test_nodes_are_the_distinct_beginnings_in_preorder(seed: int) -> None:
    sequences = random_sequences(Random(seed))
    found, nodes = pack(sequences), plain_nodes(sequences)
    number = {node: i for i, node in enumerate(nodes)}
    assert found.num_nodes == len(nodes) == len(number)
    assert found.token.tolist() == [ids[-1] for _, ids in nodes]
    assert found.position.tolist() == [len(ids) - 1 for _, ids in nodes]
    assert found.parent.tolist() == [number.get((tree, ids[:-1]), -1) for tree, ids in nodes]
    assert found.end_node.tolist() == [number[s.tree, tuple(s.ids.tolist())] for s in sequences]
    assert found.num_tokens == sum(len(s.ids) for s in sequences)
    key = query = np.arange(len(nodes))
    mask = (key[None] <= query[:, None]) & (query[:, None] < found.end[None])
    assert mask.tolist() == [
        [tree == of and ids[: len(before)] == before for of, before in nodes] for tree, ids in nodes
    ]


@pytest.mark.parametrize("seed", SEEDS)
def test_entries_are_each_sequences_weights(seed: int) -> None:
    sequences = random_sequences(Random(seed))
    found, nodes = pack(sequences), plain_nodes(sequences)
    assert (np.diff(found.entry_score) >= 0).all() and found.weight.all()
    for i, s in enumerate(sequences):
        ids = tuple(s.ids.tolist())
        own = found.entry_score == found.score[i]
        entries = zip(found.node[own].tolist(), found.weight[own].tolist(), strict=True)
        assert [(nodes[node], weight) for node, weight in entries] == [
            ((s.tree, ids[: t + 1]), weight) for t, weight in enumerate(s.weight.tolist()) if weight
        ]
    distinct = {(s.tree, s.ids.tobytes(), s.weight.tobytes()) for s in sequences}
    assert found.num_scores == len(distinct) == len(set(found.score.tolist()))


def test_the_picture() -> None:
    found = pack([abc("uabc"), abc("uabd"), abc("uae")])
    assert bytes(found.token.tolist()) == b"uabcde"
    assert found.parent.tolist() == [-1, 0, 1, 2, 2, 1]
    assert found.end.tolist() == [6, 6, 5, 4, 5, 6]


def test_one_sequence_of_two_weights_has_two_scores_and_one_path() -> None:
    found = pack([abc("uab"), abc("uab", weight=[0, 0, 2]), abc("uab"), abc("uab", tree=1)])
    assert found.score.tolist() == [0, 1, 0, 2]
    assert found.num_nodes == 6
    assert found.node.tolist() == [1, 2, 2, 4, 5]


def test_a_vocabulary_is_no_table_and_a_tree_is_any_number() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of runs that are alike, say
        ids = [2**31 - 1, 250_000]
        found = pack([ScoredIds.of(ids, [0, 1], tree) for tree in (10**30, -7, 10**30)])
    assert found.token.tolist() == ids * 2
    assert found.end_node.tolist() == [1, 3, 1]


def test_a_long_sequence() -> None:
    ids = Random(0).choices(range(50_000), k=100_000)
    long = ScoredIds.of(ids, [0.0] + [1.0] * 99_999)
    found = pack([long, ScoredIds.of([*ids[:70_000], 50_000], [0] * 70_000 + [1])])
    assert found.token.tolist() == [*ids, 50_000]
    assert found.node[-2:].tolist() == [99_999, 100_000]
    assert found.parent[-1] == 69_999


def test_digest_is_of_what_scores_depend_on() -> None:
    sequences = [abc("uabc"), abc("uabd"), abc("uae")]
    assert pack(sequences).digest() == "66f8d5c549ebb813512ba26ec524830f"  # on every machine
    others = [
        [abc("uabc"), abc("uabd"), abc("uaf")],
        [abc("uabd"), abc("uabc"), abc("uae")],
        [abc("uabc"), abc("uabd"), abc("uae", weight=[0, 1, 2])],
        [abc("uabc"), abc("uabd"), abc("uae", weight=[0, 1, 0])],
        [abc("uabc"), abc("uabd"), abc("uae", tree=1)],
        [abc("uabc"), abc("uabd"), abc("uae"), abc("uae")],
        [abc("uabc"), abc("uabd")],
    ]
    digests = [pack(other).digest() for other in others]
    assert len({pack(sequences).digest(), *digests}) == 1 + len(others)


def test_digest_tells_where_a_column_ends() -> None:
    def moved(found: Pack, length: int) -> str:
        both = np.concatenate([found.entry_score, found.node])
        return replace(found, entry_score=both[:length], node=both[length:]).digest()

    found = pack([abc("uabc")])
    assert moved(found, 3) == found.digest() != moved(found, 2)


def test_no_hash_seed_changes_a_pack() -> None:
    code = (
        "from random import Random; from support.token_tries import random_sequences;"
        "from w2stree.training.trees.pack import pack;"
        "print([pack(random_sequences(Random(i))).digest() for i in range(9)])"
    )

    def under(seed: str) -> str:
        path = os.pathsep.join(p for p in sys.path if p)
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path}
        return subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    assert under("1") == under("2")


def test_refuses_nothing_and_more_than_can_be_numbered() -> None:
    with pytest.raises(InvalidInput, match="no sequences given"):
        pack([])
    some = ScoredIds(np.ones(1 << 20, np.int32), np.zeros(1 << 20, np.float32))
    with pytest.raises(InvalidInput, match=r"2,147,483,648 tokens in 2,048 sequences; at most"):
        lay_out([some] * 2048)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([1, -100, 3], r"ids\[1\]=-100; ids are 0 to 2,147,483,647"),
        ([1, 2**31], r"ids\[1\]=2147483648; ids are"),
        ([1, -(2**33)], r"ids\[1\]=-8589934592; ids are"),
        ([1, 10**30], "ids are object; give whole numbers below"),
        ([1, 1.5], "ids are float64; give whole numbers"),
        (np.array([0, 2**32 + 5]), r"ids\[1\]=4294967301; ids are"),
        ([], "a token at least"),
    ],
)
def test_ids_are_never_narrowed_in_silence(ids: Sequence[int], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        ScoredIds.of(ids, [0.0] * len(ids))


def test_a_negative_id_is_named_in_arrays_too() -> None:
    with pytest.raises(InvalidInput, match=r"ids\[2\]=-100; ids are 0 to"):
        ScoredIds(np.array([0, 1, -100], np.int32), np.zeros(3, np.float32))
