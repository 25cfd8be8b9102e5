"""Sequences in parts, each small enough for one pack.

runs (`tries.py`)      own tokens   shared with the run before    a part of runs i to j computes
0  u─a─b─c             4            0                             shared[i] + own[i] + … + own[j]
1  u─a─b─d             1            3
2  u─a─e               1            2      <- a cut before 2 computes u, a again; before 1, u, a, b

A tree that fits is one piece and never cut; of a larger one each run is a piece, with what ends
inside it. Pieces stay in the tries' order, and each part takes consecutive ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

import numpy as np
from numpy.typing import NDArray

from w2stree.errors import InvalidInput
from w2stree.training.trees.sequences import ScoredIds, distinct
from w2stree.training.trees.tries import Ints, Tries, lay_out, leaves


@dataclass(frozen=True, slots=True, eq=False)
class _Pieces:
    """What is never cut, in the tries' order."""

    stop: Ints
    """`[num_pieces]` one past its last own node."""
    shared: Ints
    """`[num_pieces]` tokens that it has from the piece before, of the same tree."""


def parts(sequences: Sequence[ScoredIds], max_tokens: int) -> list[NDArray[np.int64]]:
    """Which sequences each part takes: each of them is in one part, in the tries' order.

    The pack of a part has at most `max_tokens` nodes, unless it is a single path: one sequence, its
    duplicates and its prefixes. Trees that fit are whole. Among all such parts of consecutive
    pieces these compute the fewest tokens (`sum of num_nodes` = distinct tokens + those shared
    across cuts), in the fewest parts that do; ties go to the longest last part, then the longest
    one before it. No sequences, no parts. The same sequences give the same parts, on every machine.

    Raises `InvalidInput` for a budget below 1. O(tokens + runs log runs).
    """
    if max_tokens < 1:
        raise InvalidInput(f"max_tokens={max_tokens}; expected 1 or more")
    if not sequences:
        return []
    kept, which = distinct(sequences)  # a run in a hundred pairs is laid out once
    tries = lay_out(kept)
    pieces = _pieces(tries, max_tokens)
    end_node = tries.end_node[which]
    piece_of = np.searchsorted(pieces.stop, end_node, side="right")
    order = np.argsort(end_node, kind="stable")
    bounds = np.searchsorted(piece_of[order], _first_pieces(pieces, max_tokens)[1:])
    return np.split(order, bounds)


def _pieces(tries: Tries, max_tokens: int) -> _Pieces:
    """Whole trees, and the runs of those that are too large."""
    stop = leaves(tries.end) + 1
    tree_stop = tries.tree_offset[1:]
    is_large = np.diff(tries.tree_offset) > max_tokens
    tree = np.searchsorted(tree_stop, stop - 1, side="right")
    stop = stop[is_large[tree] | (stop == tree_stop[tree])]
    begin = np.concatenate([[0], stop[:-1]])
    return _Pieces(stop=stop, shared=tries.position[begin])


def _first_pieces(pieces: _Pieces, max_tokens: int) -> list[int]:
    """The piece that each part begins with: the shortest way over the pieces.

    `best[j]`, what the pieces before j cost in shared tokens and in parts, is the least over the
    last part's first piece i of `best[i] + (shared[i], 1)`, as long as i to j - 1 fit together. The
    heap has these sums; what no longer fits never fits again.
    """
    own_before = [0, *pieces.stop.tolist()]
    shared = pieces.shared.tolist()
    best = (0, 0)
    came_from: list[int] = []
    heap: list[tuple[int, int, int]] = []
    for i, again in enumerate(shared):
        heappush(heap, (best[0] + again, best[1] + 1, i))
        while heap[0][2] < i and not _fits(own_before, shared, heap[0][2], i, max_tokens):
            heappop(heap)
        best = heap[0][:2]
        came_from.append(heap[0][2])
    first: list[int] = []
    at = len(shared)
    while at:
        at = came_from[at - 1]
        first.append(at)
    return first[::-1]


def _fits(own_before: list[int], shared: list[int], i: int, j: int, max_tokens: int) -> bool:
    return shared[i] + own_before[j + 1] - own_before[i] <= max_tokens
