"""Which trees of a forest a report speaks about, and each as text, where no view can be opened."""

from __future__ import annotations

import numpy as np

from w2stree import _core
from w2stree.forest.forest import Forest
from w2stree.forest.tree import Tree

_MOST_LINES = 40  # of a still picture


def choose_trees(forest: Forest, *, limit: int = 4) -> list[Tree]:
    """The trees that show most, best first; the same forest gives the same ones.

    Only trees with an informative divergence: runs chose different actions and scored
    differently. Widest spread of returns first, then most informative divergences, then the
    smaller tree. Trees whose text is too long to read at once are left out unless there is nothing
    else. O(nodes), and the texts of the trees that have such a divergence.
    """
    num_pairs_at = _core.count_pairs(forest.core, _core.PairRule())
    ranked: list[tuple[tuple[float, ...], Tree]] = []
    for tree_id, task_id in enumerate(forest.task_ids):
        tree = forest[task_id]
        span = slice(tree.root, int(forest.subtree_end[tree.root]))
        num_informative = int(np.count_nonzero(num_pairs_at[span]))
        if num_informative:
            returns = [t.total_return for t in tree.trajectories]
            spread = max(returns) - min(returns)
            num_lines = tree.drawn().count("\n")
            rank = (num_lines > _MOST_LINES, -spread, -num_informative, num_lines, tree_id)
            ranked.append((rank, tree))
    ranked.sort(key=lambda item: item[0])
    readable = [tree for rank, tree in ranked if not rank[0]]
    return readable[:limit] or [tree for _, tree in ranked[:1]]


def still(tree: Tree) -> str:
    """The tree as `print` draws it; of a long one the first lines, and how many more there are."""
    lines = tree.drawn().split("\n")
    if len(lines) <= _MOST_LINES + 1:
        return "\n".join(lines)
    *shown, legend = [*lines[: _MOST_LINES - 1], lines[-1]]
    return "\n".join([*shown, f"({len(lines) - _MOST_LINES} more lines)", legend])
