"""Sequences as packed trees: each shared beginning is there once.

sequences       u a b c       pack  node      0 1 2 3 4 5         u─a─b─c
                u a b d             token     u a b c d e           │ └─d
                u a e               position  0 1 2 3 3 2           └─e
                                    parent   -1 0 1 2 2 1
                                    end       6 6 5 4 5 6   one past the subtree

Nodes are in pre-order: node k is an ancestor of node q, or q itself, iff `k <= q < end[k]`. This is
the whole attention mask. Several trees stand one after the other, and none sees another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from w2stree.forest.build import build_forest_from_ids
from w2stree.training.trees.sequences import ScoredIds

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Pack:
    """Distinct beginnings of sequences as nodes, and what each sequence's score sums.

    The score of sequence s is the sum of `weight[e] * log p(token[node[e]] | its ancestors)` over
    the entries e with `sequence[e] == s`; tokens of weight 0 have no entry.
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
    sequence: Ints
    """`[num_entries]` ascending."""
    node: Ints
    """`[num_entries]`"""
    weight: NDArray[np.float32]
    """`[num_entries]` not 0."""
    num_tokens: int
    """Of all sequences, shared ones counted each time: what training apart would compute."""

    @property
    def num_nodes(self) -> int:
        return len(self.token)

    @property
    def num_sequences(self) -> int:
        return len(self.end_node)


def pack(sequences: Sequence[ScoredIds]) -> Pack:
    """The token tries of the sequences, a trie a tree, in one pack.

    Trees come in the order of their first sequences' appearance, children in the order in which
    sequences bring them: the same sequences give the same pack. O(tokens).
    """
    lengths = np.array([len(s.ids) for s in sequences], np.int64)
    offset = np.concatenate([[0], np.cumsum(lengths)])
    ids = np.concatenate([s.ids for s in sequences])
    _, first, tree = np.unique([s.tree for s in sequences], return_index=True, return_inverse=True)
    order = np.argsort(np.argsort(first))
    forest = build_forest_from_ids(
        ids,
        np.zeros_like(ids),
        offset,
        order[tree].astype(np.int32),
        np.zeros(len(sequences)),
        num_threads=1,
    )
    is_token = forest.parent >= 0
    renumbered = np.cumsum(is_token) - 1  # a tree's root carries no token
    node_of = _nodes_of_tokens(forest.parent, forest.end_node, offset)
    parent = forest.parent[is_token].astype(np.int64)
    parent = np.where(is_token[parent], renumbered[parent], -1)
    weight = np.concatenate([s.weight for s in sequences])
    counted = np.flatnonzero(weight)
    return Pack(
        token=forest.action_id[is_token].astype(np.int64),
        position=forest.depth[is_token].astype(np.int64) - 1,
        parent=parent,
        end=renumbered[forest.subtree_end[is_token] - 1] + 1,
        end_node=renumbered[forest.end_node],
        sequence=np.repeat(np.arange(len(sequences)), lengths)[counted],
        node=renumbered[node_of[counted]],
        weight=weight[counted],
        num_tokens=len(ids),
    )


def _nodes_of_tokens(parent: NDArray[np.int32], end_node: NDArray[np.int32], offset: Ints) -> Ints:
    """`[num_tokens]` the forest's node of each token: from each sequence's end up to its root."""
    node_of = np.empty(offset[-1], np.int64)
    at, place, begin = end_node.astype(np.int64), offset[1:] - 1, offset[:-1]
    while len(at):
        node_of[place] = at
        going = place > begin
        at, place, begin = parent[at[going]].astype(np.int64), place[going] - 1, begin[going]
    return node_of
