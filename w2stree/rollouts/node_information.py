"""What one more run through an action would tell about it, from the counts of returns below it.

    u ─┬─ a  1.0                n = 1: the next run may be as u's others: much is to be learned
       └─ b  0.5 0.5 0.5 0.5    n = 4, all alike: little

The return of a run through a node is one of the tree's returns, with probabilities that are not
known: a Dirichlet distribution, whose prior is worth one run and is the parent's posterior mean
(the root's: all returns alike). With variance v of the next return and n runs, the variance of the
mean falls from v / n to v / (n + 1) with one more, so that of the difference of two action values
falls by v / (n (n + 1)): the knowledge gradient's quantity (Frazier, Powell and Dayanik 2008),
without its value of the decision.
"""

from __future__ import annotations

import numpy as np

from w2stree.forest.tree import Tree

_PRIOR_RUNS = 1.0


def node_information(tree: Tree) -> dict[int, float]:
    """For each node that an action led to from a decision divergence, and where a run went on: the
    expected reduction, in node order. O(nodes · distinct returns)."""
    forest, root = tree.forest, tree.root
    runs = forest.trajectory_order[
        forest.first_trajectory[root] : forest.first_trajectory[root]
        + forest.num_trajectories[root]
    ]
    values, number = np.unique(forest.total_return[runs], return_inverse=True)
    of_node = {root: np.full(len(values), 1 / max(1, len(values)))}
    found: dict[int, float] = {}
    begin = int(forest.first_trajectory[root])
    for node in range(root, root + tree.num_nodes):
        first, num = int(forest.first_trajectory[node]) - begin, int(forest.num_trajectories[node])
        counts = np.bincount(number[first : first + num], minlength=len(values))
        parent = int(forest.parent[node])
        prior = of_node[root if node == root else parent]
        mean = of_node[node] = (counts + _PRIOR_RUNS * prior) / (num + _PRIOR_RUNS)
        goes_on = forest.num_terminal[node] < num
        if node != root and forest.num_actions[parent] >= 2 and goes_on:
            variance = float(mean @ values**2 - (mean @ values) ** 2)
            found[node] = max(0.0, variance) / (num * (num + 1))
    return found
