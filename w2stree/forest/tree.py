"""One task's tree of a forest, and its picture in ASCII."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from w2stree.shorten import cut, num_columns, shorten, visible
from w2stree.trajectories.trajectory import Trajectory

if TYPE_CHECKING:
    from w2stree.forest.forest import Forest

_NO_ACTION = "(no action)"
_ACTION_WIDTH = 40
_OBSERVATION_WIDTH = 60
_LEAST_OBSERVATION = 8
_LEAST_WIDTH = 40  # of what is drawn behind the lines that lead to it
_GOES_ON = "+"
_LEGEND = (
    "n trajectories, r mean return, . some end here, * decision divergence, "
    "~ environment divergence"
)


@dataclass(frozen=True, slots=True, repr=False)
class Tree:
    """The tree of one task: a view of `forest`. `print(tree)` draws it; a tree without trajectories
    (`build_forest_from_ids`) is its root alone, without a mean return: "r=-"."""

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

    def drawn(
        self,
        *,
        raw: bool = False,
        width: int | None = None,
        depth: int | None = None,
        min_runs: int = 1,
    ) -> str:
        """One line for each run of steps without a branch or an ending:

        |- take key > open door  [n=4 r=0.60 *]  A dark hall with a chest and a …
        |- (2 branches of 3 trajectories not shown)

        The first line has the task's id, whole. Texts are shortened, and what a terminal obeys or
        does not show is written as escapes (`shorten`); `raw`: texts are whole and as they are,
        line breaks and terminal codes too. Lines end after `width` columns, if it is given: the
        first does not, nor the legend, and far from the root a line has 40 of its own. Steps
        beyond the first `depth` are not shown, and + marks where there are any; nor are branches
        of fewer than `min_runs` trajectories, and a line says how many.
        """
        task = self.task_id if raw else visible(self.task_id)
        most = int(self.forest.depth.max(initial=0)) if depth is None else depth
        lines = [f"{task}  [{self._label(self.root, most)}]"]
        pending = [("", *branch) for branch in self._branches(self.root, most, min_runs)]
        while pending:
            indent, node, is_last, is_shown = pending.pop()
            begin = f"{indent}{'`- ' if is_last else '|- '}"
            if not is_shown:
                lines.append(begin + self._left_out(node, min_runs))
                continue
            chain = self._chain(node, most)
            room = None if width is None else max(_LEAST_WIDTH, width - len(begin))
            lines.append(begin + self._line(chain, most, raw=raw, room=room))
            indent += "   " if is_last else "|  "
            below = self._branches(chain[-1], most, min_runs)
            pending += [(indent, *branch) for branch in below]
        legend = _LEGEND if depth is None else f"{_LEGEND}, {_GOES_ON} goes on"
        return "\n".join([*lines, f"({legend})"])

    def _branches(self, node: int, most: int, min_runs: int) -> Iterator[tuple[int, bool, bool]]:
        """Children and whether each is the last, and shown, the last one first (for a stack); one
        that is not shown stands for all of those, and is their parent."""
        if self.forest.depth[node] >= most:
            return
        shown, hidden = self._shown(node, min_runs)
        if hidden:
            yield node, True, False
        for i, child in enumerate(reversed(shown)):
            yield child, i == 0 and not hidden, True

    def _shown(self, node: int, min_runs: int) -> tuple[list[int], list[int]]:
        """Its children: those that are drawn, and those that are not."""
        counts = self.forest.num_trajectories
        children = self.children(node)
        shown = [child for child in children if counts[child] >= min_runs]
        return shown, [child for child in children if counts[child] < min_runs]

    def _left_out(self, node: int, min_runs: int) -> str:
        _, hidden = self._shown(node, min_runs)
        count = int(self.forest.num_trajectories[hidden].sum())
        branches = "1 branch" if len(hidden) == 1 else f"{len(hidden)} branches"
        return f"({branches} of {count} trajector{'y' if count == 1 else 'ies'} not shown)"

    def _chain(self, node: int, most: int) -> list[int]:
        """From `node` down to the first node that branches, where a trajectory ends or where
        nothing deeper is shown."""
        forest, chain = self.forest, [node]
        while (
            forest.num_children[chain[-1]] == 1
            and forest.num_terminal[chain[-1]] == 0
            and forest.depth[chain[-1]] < most
        ):
            chain.append(chain[-1] + 1)
        return chain

    def _line(self, chain: list[int], most: int, *, raw: bool, room: int | None) -> str:
        actions = [self.forest.actions[self.forest.action_id[n]] for n in chain]
        end = self.forest.observations[self.forest.observation_id[chain[-1]]]
        label = f"  [{self._label(chain[-1], most)}]"
        if raw:
            return f"{' > '.join(a or _NO_ACTION for a in actions)}{label}  {end}"
        actions = [shorten(action, _ACTION_WIDTH) or _NO_ACTION for action in actions]
        if len(actions) > 4:
            actions[2:-1] = [f"({len(actions) - 3} steps)"]
        said, end = " > ".join(actions), shorten(end, _OBSERVATION_WIDTH)
        if room is not None:  # what is cut first is the observation, and the label never
            said = cut(said, room - len(label))
            left = room - num_columns(said) - len(label) - 2
            end = cut(end, left) if left >= _LEAST_OBSERVATION else ""
        return f"{said}{label}  {end}".rstrip()

    def _label(self, node: int, most: int) -> str:
        forest = self.forest
        count = int(forest.num_trajectories[node])
        marks = "." * bool(forest.num_terminal[node] and forest.num_children[node])
        marks += "*" * bool(forest.num_actions[node] >= 2)
        marks += "~" * bool(forest.num_children[node] > forest.num_actions[node])
        marks += _GOES_ON * bool(forest.num_children[node] and forest.depth[node] >= most)
        mean = f"{forest.return_sum[node] / count:.2f}" if count else "-"
        return f"n={count} r={mean} {marks}".rstrip()
