"""Sequences of token ids as tries, one a tree: where each shared beginning is there once.

sequences       u a b c       tries  node      0 1 2 3 4 5         u─a─b─c
                u a b d              token     u a b c d e           │ └─d
                u a e                position  0 1 2 3 3 2           └─e
                                     parent   -1 0 1 2 2 1
                                     end       6 6 5 4 5 6   one past the subtree

Nodes are in pre-order: node k is an ancestor of node q, or q itself, iff `k <= q < end[k]`. Several
tries stand one after the other, and no node of one is an ancestor in another.

What ends at a leaf is a *run*. A leaf's run begins where the run before it ended:

runs     u─a─b─c   nodes 0 1 2 3      own 0 1 2 3
         u─a─b─d         0 1 2 4          4
         u─a─e           0 1 5            5

So each node is some run's own once, and a run's own nodes are the last of its path.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from w2stree import _core
from w2stree.errors import InvalidInput
from w2stree.training.trees.sequences import ScoredIds

Ints = NDArray[np.int64]

_MOST = 2**31 - 1  # that the core can number


@dataclass(frozen=True, slots=True, eq=False)
class Tries:
    """The distinct beginnings of sequences as nodes."""

    token: Ints
    """`[num_nodes]`"""
    position: Ints
    """`[num_nodes]` depth: how many tokens come before."""
    parent: Ints
    """`[num_nodes]` -1 where a sequence begins."""
    end: Ints
    """`[num_nodes]` one past the last node of the subtree."""
    end_node: Ints
    """`[num_sequences]` where each ends; a prefix of another ends at an inner node."""
    token_node: Ints
    """`[num_tokens]` the node of each token, sequence after sequence."""
    tree_offset: Ints
    """`[num_trees + 1]` where each tree's nodes begin; trees by first appearance."""


def lay_out(sequences: Sequence[ScoredIds]) -> Tries:
    """The tries of the sequences, children in the order in which sequences bring them: the same
    sequences give the same tries.

    Raises `InvalidInput` for no sequence, and for more tokens than the core can number. O(tokens).
    """
    if not sequences:
        raise InvalidInput("no sequences given")
    lengths = np.array([len(s.ids) for s in sequences], np.int64)
    if lengths.sum() > _MOST:
        raise InvalidInput(
            f"{lengths.sum():,} tokens in {len(sequences):,} sequences; at most {_MOST:,} can be "
            "laid out at once"
        )
    ids = np.concatenate([s.ids for s in sequences])
    number: dict[int, int] = {}  # of trees
    tree = np.array([number.setdefault(s.tree, len(number)) for s in sequences], np.int32)
    forest = _core.build_forest(
        ids,
        np.zeros_like(ids),
        np.concatenate([[0], np.cumsum(lengths)]),
        tree,
        np.zeros(len(sequences)),
        len(number),
    )
    return _without_roots(forest)


def _without_roots(forest: _core.Forest) -> Tries:
    """A tree's root stands for no token: it goes, and every later node moves up by one."""
    is_token = forest.action_id >= 0
    renumbered = np.cumsum(is_token) - 1
    parent = forest.node_parent()[is_token]
    root = forest.root_node()
    return Tries(
        token=forest.action_id[is_token].astype(np.int64),
        position=forest.node_depth()[is_token].astype(np.int64) - 1,
        parent=np.where(is_token[parent], renumbered[parent], -1),
        end=renumbered[forest.node_subtree_end()[is_token] - 1] + 1,
        end_node=renumbered[forest.end_node()],
        token_node=renumbered[forest.step_node()],
        tree_offset=np.append(root - np.arange(len(root)), is_token.sum()),
    )


def leaves(end: Ints) -> Ints:
    """`[num_leaves]` the nodes that no other continues, ascending."""
    return np.flatnonzero(end == np.arange(1, len(end) + 1))
