"""Random sequences that share beginnings, and the plainest trie of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

from w2stree.training.trees.sequences import ScoredIds

PlainNode = tuple[int, tuple[int, ...]]
"""Its tree, and all tokens down to it."""


def random_sequences(draw: Random) -> list[ScoredIds]:
    """One to eight trees: endings inside, duplicates of ids and of weights too, branches of one
    token, other first tokens; some forests are deep, some one sequence."""
    trees = draw.sample(range(-5, 100), draw.randint(1, 8))
    vocabulary = draw.choice([2, 3, 50_000])
    longest = draw.choice([1, 3, 6, 6, 40])
    paths: list[tuple[int, ...]] = []
    found: list[ScoredIds] = []
    for _ in range(draw.randint(1, 16)):
        before = draw.choice(paths) if paths and draw.random() < 0.8 else ()
        shared = before[: draw.randint(0, len(before))]
        new = draw.choices(range(vocabulary), k=draw.choice([0, 1, draw.randint(1, longest)]))
        ids = (*shared, *new) or (0,)
        paths.append(ids)
        weight = draw.choices([0.0, 1.0, -0.25, 1e-9], k=len(ids) - 1)
        found.append(ScoredIds.of(ids, [0.0, *weight], draw.choice(trees)))
        if draw.random() < 0.2:
            found.append(draw.choice(found))
    return found


def plain_nodes(sequences: Sequence[ScoredIds]) -> list[PlainNode]:
    """In pre-order: trees by first appearance, children by the first sequence to bring them."""
    trees: dict[int, dict] = {}
    for s in sequences:
        below = trees.setdefault(s.tree, {})
        for token in s.ids.tolist():
            below = below.setdefault(token, {})
    return [(tree, ids) for tree, below in trees.items() for ids in _walk(below, ())]


def _walk(below: dict, before: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    for token, further in below.items():
        yield (*before, token)
        yield from _walk(further, (*before, token))
