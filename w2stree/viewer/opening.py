"""Where a view is opened: the part of an address behind its #.

view.html#node=17             a node; of which task it is, the view knows
view.html#runs=3              a run, whole
view.html#node=17&runs=3,9    two runs side by side, from where they part
view.html#task=cook/3         a task
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING
from urllib.parse import quote

from w2stree.errors import InvalidInput

if TYPE_CHECKING:
    from w2stree.forest.forest import Forest


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAt:
    """A place of a forest: a task by its id, a node, one run or two by their index in
    `forest.trajectories`; whichever are given."""

    task: str | None = None
    node: int | None = None
    runs: tuple[int] | tuple[int, int] | None = None

    def fragment(self) -> str:
        """task=cook%2F3&node=17&runs=3,9"""
        parts = []
        if self.task is not None:
            shown = self.task.encode("utf-8", "backslashreplace")  # as the view has it
            parts.append(f"task={quote(shown, safe='')}")
        if self.node is not None:
            parts.append(f"node={self.node}")
        if self.runs is not None:
            parts.append(f"runs={','.join(map(str, self.runs))}")
        return "&".join(parts)

    def check(self, forest: Forest, name: str = "open_at") -> None:
        """Raises `InvalidInput`, with the place's name, for what the forest does not have, and for
        places of two tasks."""
        if self.task is not None and self.task not in forest:
            raise InvalidInput(f"{name}: no tree for task {self.task!r}")
        if self.node is not None and not 0 <= self.node < forest.num_nodes:
            raise InvalidInput(f"{name}: node {self.node}; there are {forest.num_nodes:,} nodes")
        if self.runs is not None and len(self.runs) not in (1, 2):
            raise InvalidInput(f"{name}: {len(self.runs)} runs; give one, or two to compare")
        num_runs = len(forest.total_return)
        for run in self.runs or ():
            if not 0 <= run < num_runs:
                raise InvalidInput(f"{name}: run {run}; there are {num_runs:,} runs")
        ends = [int(forest.end_node[run]) for run in self.runs or ()]
        if len({_tree_of(forest, end) for end in ends}) > 1:
            raise InvalidInput(f"{name}: runs {self.runs} are of two tasks, and part nowhere")
        nodes = [*ends, *([] if self.node is None else [self.node])]
        nodes += [] if self.task is None else [forest[self.task].root]
        if len({_tree_of(forest, node) for node in nodes}) > 1:
            raise InvalidInput(f"{name}: {self.fragment()} is of two tasks; give a place of one")

    def whole(self, forest: Forest, name: str = "open_at") -> OpenAt:
        """With all that follows: of runs the node where two part or one ends, of a task its root,
        of a node its task. Raises as `check`."""
        self.check(forest, name)
        node = self.node
        if node is None and self.runs is not None:
            ways = [forest.path_to(int(forest.end_node[run])) for run in self.runs]
            shared = takewhile(lambda nodes: len(set(nodes)) == 1, zip(*ways, strict=False))
            *_, (node, *_) = shared
        if node is None and self.task is not None:
            node = forest[self.task].root
        task = None if node is None else forest.task_ids[_tree_of(forest, node)]
        return OpenAt(task=task, node=node, runs=self.runs)


def _tree_of(forest: Forest, node: int) -> int:
    return int(forest.root.searchsorted(node, side="right")) - 1
