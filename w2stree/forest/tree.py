"""One task's tree of a forest, and its picture in ASCII."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from w2stree.shorten import shorten
from w2stree.trajectories.trajectory import Trajectory

if TYPE_CHECKING:
    from w2stree.forest.forest import Forest

_NO_ACTION = "(no action)"
_ACTION_WIDTH = 40
_OBSERVATION_WIDTH = 60
_LEGEND = (
    "n trajectories, r mean return, . some end here, * decision divergence, "
    "~ environment divergence"
)


@dataclass(frozen=True, slots=True, repr=False)
class Tree:
    """The tree of one task: a view of `forest`. `print(tree)` draws it."""

    forest: Forest
    tree_id: int

    @property
    def task_id(self) -> str:
        """The task all its trajectories belong to."""
        return self.forest.task_ids[self.tree_id]

    @property
    def root(self) -> int:
        """Root node; the tree is the id range [root, forest.subtree_end[root])."""
        return int(self.forest.root[self.tree_id])

    @property
    def num_nodes(self) -> int:
        """Nodes, the root included."""
        return int(self.forest.subtree_end[self.root]) - self.root

    @property
    def trajectories(self) -> list[Trajectory]:
        """Its trajectories, in input order."""
        forest, root = self.forest, self.root
        begin = forest.first_trajectory[root]
        own = forest.trajectory_order[begin : begin + forest.num_trajectories[root]]
        return [forest.trajectories[i] for i in sorted(own)]

    def children(self, node: int) -> list[int]:
        """Children of a node, in insertion order."""
        end, child, children = int(self.forest.subtree_end[node]), node + 1, []
        while child < end:
            children.append(child)
            child = int(self.forest.subtree_end[child])
        return children

    def __repr__(self) -> str:
        count = int(self.forest.num_trajectories[self.root])
        return f"Tree({self.task_id!r}, {count} trajectories, {self.num_nodes} nodes)"

    def __str__(self) -> str:
        """As `drawn()`."""
        return self.drawn()

    def drawn(self, *, raw: bool = False) -> str:
        """One line for each run of steps without a branch or an ending:

        |- take key > open door  [n=4 r=0.60 *]  A dark hall with a chest and a …

        Texts are shortened, and what a terminal obeys or does not show is written as escapes
        (`shorten`); `raw`: texts are whole and as they are, line breaks and terminal codes too.
        """
        task = self.task_id if raw else shorten(self.task_id, _OBSERVATION_WIDTH)
        lines = [f"{task}  [{self._label(self.root)}]"]
        pending = [("", child, last) for child, last in self._branches(self.root)]
        while pending:
            indent, node, is_last = pending.pop()
            chain = self._chain(node)
            lines.append(f"{indent}{'`- ' if is_last else '|- '}{self._line(chain, raw=raw)}")
            indent += "   " if is_last else "|  "
            pending += [(indent, child, last) for child, last in self._branches(chain[-1])]
        return "\n".join([*lines, f"({_LEGEND})"])

    def _branches(self, node: int) -> Iterator[tuple[int, bool]]:
        """Children and whether each is the last, last one first (for a stack)."""
        for i, child in enumerate(reversed(self.children(node))):
            yield child, i == 0

    def _chain(self, node: int) -> list[int]:
        """From `node` down to the first node that branches or where a trajectory ends."""
        chain = [node]
        while self.forest.num_children[chain[-1]] == 1 and self.forest.num_terminal[chain[-1]] == 0:
            chain.append(chain[-1] + 1)
        return chain

    def _line(self, chain: list[int], *, raw: bool) -> str:
        actions = [self.forest.actions[self.forest.action_id[n]] for n in chain]
        end = self.forest.observations[self.forest.observation_id[chain[-1]]]
        if not raw:
            actions = [shorten(action, _ACTION_WIDTH) for action in actions]
            end = shorten(end, _OBSERVATION_WIDTH)
            if len(actions) > 4:
                actions[2:-1] = [f"({len(actions) - 3} steps)"]
        actions = [action or _NO_ACTION for action in actions]
        line = f"{' > '.join(actions)}  [{self._label(chain[-1])}]  {end}"
        return line if raw else line.rstrip()

    def _label(self, node: int) -> str:
        forest = self.forest
        count = int(forest.num_trajectories[node])
        marks = "." * bool(forest.num_terminal[node] and forest.num_children[node])
        marks += "*" * bool(forest.num_actions[node] >= 2)
        marks += "~" * bool(forest.num_children[node] > forest.num_actions[node])
        return f"n={count} r={forest.return_sum[node] / count:.2f} {marks}".rstrip()
