"""Where each node and label of a drawn tree goes.

Runs of steps without a branch or an ending are one edge. Columns never overlap: each is as wide
as its longest label, and each subtree has its own band of height.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from w2stree.forest.tree import Tree
from w2stree.shorten import num_columns, shorten

MARGIN = 8.0
CHAR_WIDTH, LINE_HEIGHT = 6.7, 14.0  # one character and one line of the 11 px monospace labels
PILL_WIDTH, PILL_HEIGHT = 40.0, 20.0
_ABOVE, _BELOW = 18.0, 20.0  # what a node needs around its centre, its notes apart
NOTE_HEIGHT = 12.0
ELBOW, _GAP = 26.0, 10.0  # before and after the labels between two nodes
_LABEL_COLUMNS = 30
_MAX_LINES = 4
_MAX_WIDTH, _MAX_HEIGHT = 1060.0, 680.0  # a picture that a page shows without zooming


@dataclass(slots=True)
class DrawnNode:
    """A drawn node: the end of an unbranched run of steps."""

    node: int
    actions: list[str]
    notes: list[str] = field(default_factory=list)
    children: list[DrawnNode] = field(default_factory=list)
    x: float = 0.0
    y: float = 0.0
    # The band of height that belongs to the subtree, and in it how far below its top the node
    # and the first child's band are.
    band: float = 0.0
    drop: float = 0.0
    shift: float = 0.0

    @property
    def labels(self) -> list[str]:
        """The actions on the edge into the node, the middle of a long run left out."""
        actions = [shorten(action, _LABEL_COLUMNS) or "(empty)" for action in self.actions]
        if len(actions) > _MAX_LINES:
            actions[2:-1] = [f"… {len(actions) - 3} more …"]
        return actions

    def walk(self) -> Iterator[DrawnNode]:
        """The node and all below, parents first."""
        pending = [self]
        while pending:
            node = pending.pop()
            yield node
            pending += reversed(node.children)


@dataclass(frozen=True, slots=True)
class Layout:
    root: DrawnNode
    width: float
    height: float

    @property
    def is_readable(self) -> bool:
        return self.width <= _MAX_WIDTH and self.height <= _MAX_HEIGHT


def lay_out(tree: Tree) -> Layout:
    root = _compact(tree)
    columns = _columns(root)
    x = MARGIN + PILL_WIDTH / 2
    for depth, column in enumerate(columns):
        if depth:
            widest = max(_width(label) for node in column for label in node.labels)
            x += ELBOW + widest + _GAP + PILL_WIDTH
        for node in column:
            node.x = x
    _place(root)
    return Layout(root, x + PILL_WIDTH / 2 + MARGIN, root.band + 2 * MARGIN)


def _compact(tree: Tree) -> DrawnNode:
    """The tree with every run of steps that neither branches nor ends as one edge."""
    forest = tree.forest

    def chain(node: int) -> DrawnNode:
        drawn = DrawnNode(node, [forest.actions[forest.action_id[node]]])
        while forest.num_children[drawn.node] == 1 and forest.num_terminal[drawn.node] == 0:
            drawn.node += 1  # pre-order: an only child comes next
            drawn.actions.append(forest.actions[forest.action_id[drawn.node]])
        return drawn

    root = DrawnNode(tree.root, [])
    pending = [root]
    while pending:
        drawn = pending.pop()
        drawn.children = [chain(child) for child in tree.children(drawn.node)]
        drawn.notes = _notes(tree, drawn)
        pending += drawn.children
    return root


def _notes(tree: Tree, drawn: DrawnNode) -> list[str]:
    count = int(tree.forest.num_trajectories[drawn.node])
    num_ending = int(tree.forest.num_terminal[drawn.node]) if drawn.children else 0
    notes = [runs_text(count)]
    if num_ending:
        notes.append(f"{num_ending} end{'s' * (num_ending == 1)} here")
    return notes


def runs_text(count: int) -> str:
    return "1 run" if count == 1 else f"{count:,} runs"


def _columns(root: DrawnNode) -> list[list[DrawnNode]]:
    columns, column = [], [root]
    while column:
        columns.append(column)
        column = [child for node in column for child in node.children]
    return columns


def _place(root: DrawnNode) -> None:
    """Set every y: bands of children one under another, a node midway between first and last."""
    nodes = list(root.walk())
    for node in reversed(nodes):
        above = max(_ABOVE, len(node.labels) * LINE_HEIGHT + 8)
        middle = above
        if node.children:
            first, last = node.children[0], node.children[-1]
            before_last = sum(child.band for child in node.children[:-1])
            middle = (first.drop + before_last + last.drop) / 2
        node.shift = max(0.0, above - middle)
        node.drop = middle + node.shift
        children = node.shift + sum(child.band for child in node.children)
        node.band = max(children, node.drop + _BELOW + len(node.notes) * NOTE_HEIGHT)
    root.y = MARGIN + root.drop
    for node in nodes:
        top = node.y - node.drop + node.shift
        for child in node.children:
            child.y = top + child.drop
            top += child.band


def _width(text: str) -> float:
    return CHAR_WIDTH * num_columns(text)
