"""A tree as lines that fold, by the core's arrays alone.

    ▸ take key > open door > (3 steps) > go north      a run of steps without a branch, folded
    ▾ take key                                         its head, open: a line a step
      open door
        ▸ wait > …                                     where it branches, one level more

Nodes of such a run follow one another in pre-order, and what is below a head is a range: which
lines there are is a few passes over the tree's arrays, whatever is open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from w2stree.forest.forest import Forest

_OPEN_AT_ONCE = 160  # nodes of a tree that is shown open


class Outline:
    """Lines of one tree at a time. `nodes` `[lines]` has the node of each line, ascending, and
    `levels` `[lines]` how far in it stands; what is open is kept for all trees.

    Making it costs O(nodes of the forest), every other call O(nodes of the tree).
    """

    def __init__(self, forest: Forest) -> None:
        self._forest = forest
        depth, is_inner = forest.depth, forest.num_terminal == 0
        is_passed = (depth > 0) & (forest.num_children == 1) & is_inner
        is_head = ~((depth > 1) & is_passed[forest.parent])
        self._heads = np.flatnonzero(is_head)
        self._ends = np.flatnonzero(~is_passed)
        self._is_open = np.zeros(forest.num_nodes, np.bool_)
        self._root = self._end = 0
        self.nodes: NDArray[np.int64] = np.empty(0, np.int64)
        self.levels: NDArray[np.int64] = np.empty(0, np.int64)

    def show(self, root: int) -> None:
        """The tree with this root: a small one open, of another one its branches."""
        self._root, self._end = root, int(self._forest.subtree_end[root])
        if not self._is_open[root]:
            is_small = self._end - root <= _OPEN_AT_ONCE
            self._is_open[root : self._end if is_small else root + 1] = True
        self._refresh()

    def head_of(self, node: int) -> int:
        """The first node of its run of steps without a branch."""
        return int(self._heads[np.searchsorted(self._heads, node, side="right") - 1])

    def last_of(self, head: int) -> int:
        """The last node of the run that begins there."""
        return int(self._ends[np.searchsorted(self._ends, head)])

    def is_head(self, node: int) -> bool:
        return self.head_of(node) == node

    def folds(self, node: int) -> bool:
        """Whether there is anything to fold below."""
        is_more = self.last_of(node) > node or self._forest.num_children[node] > 0
        return self.is_head(node) and bool(is_more)

    def is_open(self, head: int) -> bool:
        return bool(self._is_open[head])

    def set_open(self, head: int, is_open: bool) -> None:
        self._is_open[head] = is_open
        self._refresh()

    def set_all(self, is_open: bool) -> None:
        """All of the tree; its root stays open."""
        self._is_open[self._root : self._end] = is_open
        self._is_open[self._root] = True
        self._refresh()

    def reveal(self, node: int) -> None:
        """Open what a node is folded in; it may stand folded itself, as a head."""
        while node > self._root:
            head = self.head_of(node)
            if node != head:
                self._is_open[head] = True
            node = int(self._forest.parent[head])
            self._is_open[self.head_of(node)] = True
        self._refresh()

    def line_of(self, node: int) -> int:
        """The line that it stands on, or is folded into."""
        return int(np.searchsorted(self.nodes, node, side="right")) - 1

    def _refresh(self) -> None:
        root, size = self._root, self._end - self._root
        begin, end = np.searchsorted(self._heads, (root, self._end))
        heads = self._heads[begin:end]
        after = self._forest.subtree_end[heads]
        closed = ~self._is_open[heads]
        hidden = _within(heads[closed] + 1 - root, after[closed] - root, size)
        shown = np.flatnonzero(hidden == 0)
        self.nodes = shown + root
        self.levels = _within(heads - root, after - root, size)[shown] - 1


def _within(begin: NDArray[np.integer], end: NDArray[np.integer], size: int) -> NDArray[np.int64]:
    """How many of the ranges [begin, end) each of the first `size` numbers is in."""
    steps = np.bincount(begin, minlength=size + 1) - np.bincount(end, minlength=size + 1)
    counts: NDArray[np.int64] = np.cumsum(steps[:size])
    return counts
