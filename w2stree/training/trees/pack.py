"""Sequences as packed tries (`tries.py` has the picture), and what their scores sum.

One forward pass over a pack computes each distinct beginning once. Three kinds of the same are
each computed once, and every sum stays what it was:

same                              is                       where
a beginning, of one tree          one node                 `tries.lay_out`
a sequence with its weights       one of `num_scores`      `sequences.distinct`
an example, sequences and all     a greater weight of it   whoever makes examples
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from w2stree.training.trees.sequences import ScoredIds, distinct
from w2stree.training.trees.tries import Ints, lay_out


@dataclass(frozen=True, slots=True, eq=False)
class Pack:
    """Distinct beginnings of sequences as nodes, and what each distinct score sums.

    Score i is the sum of `weight[e] * log p(token[node[e]] | its ancestors)` over the entries e
    with `entry_score[e] == i`; tokens of weight 0 have no entry. Sequence s has the score
    `score[s]`.
    """

    token: Ints
    """`[num_nodes]`"""
    position: Ints
    """`[num_nodes]` depth: how many tokens come before."""
    parent: Ints
    """`[num_nodes]` -1 where a sequence begins."""
    end: Ints
    """`[num_nodes]` one past the last node of the subtree."""
    end_node: Ints
    """`[num_sequences]` where each sequence ends; a prefix of another ends at an inner node."""
    score: Ints
    """`[num_sequences]` which of the distinct scores is its own, numbered by first appearance."""
    entry_score: Ints
    """`[num_entries]` ascending."""
    node: Ints
    """`[num_entries]`"""
    weight: NDArray[np.float32]
    """`[num_entries]` not 0."""
    num_scores: int
    num_tokens: int
    """Of all sequences, shared ones counted each time: what training apart would compute."""

    @property
    def num_nodes(self) -> int:
        return len(self.token)

    @property
    def num_sequences(self) -> int:
        return len(self.end_node)

    def digest(self) -> str:
        """What the scores depend on, in 128 bits (hex): equal packs have equal ones on every
        machine, and sequences in another order another one. O(num_nodes + num_entries)."""
        hashed = blake2b(digest_size=16)
        for column in (self.token, self.parent, self.score, self.entry_score, self.node):
            hashed.update(len(column).to_bytes(8, "little"))
            hashed.update(column.astype("<i8", copy=False).data)
        hashed.update(self.weight.astype("<f4", copy=False).data)
        return hashed.hexdigest()


def pack(sequences: Sequence[ScoredIds]) -> Pack:
    """The token tries of the sequences, a trie a tree, in one pack.

    Trees come in the order of their first sequences' appearance, children in the order in which
    sequences bring them: the same sequences give the same pack, on every machine. O(tokens).

    Raises `InvalidInput` for no sequence, and for more tokens than can be numbered.
    """
    kept, score = distinct(sequences)
    tries = lay_out(kept)
    lengths = np.array([len(s.ids) for s in kept], np.int64)
    weight = np.concatenate([s.weight for s in kept])
    counted = np.flatnonzero(weight)
    return Pack(
        token=tries.token,
        position=tries.position,
        parent=tries.parent,
        end=tries.end,
        end_node=tries.end_node[score],
        score=score,
        entry_score=np.repeat(np.arange(len(kept)), lengths)[counted],
        node=tries.token_node[counted],
        weight=weight[counted],
        num_scores=len(kept),
        num_tokens=int(lengths[score].sum()),
    )
