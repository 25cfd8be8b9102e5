"""One task's tree as an outline that folds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rich.style import Style
from textual.binding import Binding, BindingType
from textual.message import Message

from w2stree.cli.terminal.lines import Part, Rows
from w2stree.cli.terminal.outline import Outline
from w2stree.cli.transcript import NO_ACTION
from w2stree.shorten import cut, num_columns, shorten

if TYPE_CHECKING:
    from w2stree.cli.terminal.hits import Hits
    from w2stree.cli.terminal.looked_at import LookedAt

# Cividis, as the page and the report have it: alike with and without colour-blindness.
_CIVIDIS = ((38, 78, 148), (94, 108, 146), (142, 141, 138), (198, 186, 122), (254, 232, 56))
_SWATCH = "▌"
_INDENT = 2
_MOST_OF_A_STEP = 40  # columns, in a folded line
_LEAST_WORDS = 8  # columns that words have before numbers


class TreeRows(Rows):
    """Lines of an `Outline`, the selected node under the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,space", "turn", "Fold", key_display="↵", tooltip="Fold, or open"),
        Binding("right,l", "open", "Open, or down", show=False),
        Binding("left,h", "fold", "Fold, or to where it branches", show=False),
        Binding("e", "all(True)", "Open all", show=False),
        Binding("z", "all(False)", "Fold all", show=False),
    ]

    @dataclass
    class Selected(Message):
        """Another node."""

        node: int

    def __init__(self, of: LookedAt, *, id: str) -> None:
        super().__init__(id=id)
        self._of = of
        self._outline = Outline(of.forest)
        self.node = -1
        self.hits: Hits | None = None

    def select(self, node: int) -> None:
        """Show a node, opening what it is folded in."""
        outline = self._outline
        outline.show(int(self._of.forest.root[self._of.tree_of(node)]))
        outline.reveal(node)
        self.node = node
        self.show_rows(len(outline.nodes), outline.line_of(node))

    def line(self, index: int, width: int) -> Iterable[Part]:
        outline, forest = self._outline, self._of.forest
        node, level = int(outline.nodes[index]), int(outline.levels[index])
        last = self._of_line(node)
        is_folded = outline.folds(node) and not outline.is_open(node)
        sign = " " if not outline.folds(node) else "▸" if is_folded else "▾"
        indent = " " * min(_INDENT * level, width // 3)
        label = self._label(last)
        room = max(_LEAST_WORDS, width - len(indent) - 3 - len(label) - 1)
        words = cut(self._words(node, last), room)
        is_hit = self.hits is not None and bool(self.hits.is_at[node : last + 1].any())
        yield f"{indent}", ""
        yield _SWATCH, self._colour(last)
        yield f"{sign} ", "soft"
        kind = "hit" if is_hit else "" if forest.depth[node] else "head"
        yield words, kind
        yield " " * (room - num_columns(words) + 1), ""
        yield label, "soft"

    def _of_line(self, node: int) -> int:
        """The node that a line stands for: folded, the last of its run of steps."""
        outline = self._outline
        return node if not outline.is_head(node) or outline.is_open(node) else outline.last_of(node)

    def _words(self, node: int, last: int) -> str:
        if self._of.forest.depth[node] == 0:
            return shorten(self._of.task_of(node), 400)
        steps = range(node, last + 1)
        if len(steps) == 1:
            return self._action(node, 400)
        if len(steps) > 4:
            first, second, end = (self._action(n, _MOST_OF_A_STEP) for n in (node, node + 1, last))
            return f"{first} > {second} > ({len(steps) - 3:,} steps) > {end}"
        return " > ".join(self._action(n, _MOST_OF_A_STEP) for n in steps)

    def _action(self, node: int, width: int) -> str:
        forest = self._of.forest
        return shorten(forest.actions[forest.action_id[node]], width) or NO_ACTION

    def _label(self, node: int) -> str:
        """As `w2stree tree` has it, and ^ on a best path."""
        forest = self._of.forest
        count = int(forest.num_trajectories[node])
        marks = "." * bool(forest.num_terminal[node] and forest.num_children[node])
        marks += "*" * bool(forest.num_actions[node] >= 2)
        marks += "~" * bool(forest.num_children[node] > forest.num_actions[node])
        marks += "^" * bool(self._of.is_best[node])
        mean = f"{forest.return_sum[node] / count:.2f}" if count else "-"
        return f"n={count:,} r={mean} {marks:<3}"

    def _colour(self, node: int) -> Style:
        """Of its mean return, from the least to the greatest of all."""
        of = self._of
        count = int(of.forest.num_trajectories[node])
        if not count or of.high <= of.low:
            return Style.null()
        share = (of.forest.return_sum[node] / count - of.low) / (of.high - of.low)
        level = round(max(0.0, min(1.0, float(share))) * (len(_CIVIDIS) - 1))
        return Style.parse("rgb({},{},{})".format(*_CIVIDIS[level]))

    def watch_cursor(self) -> None:
        super().watch_cursor()
        if self.count and self.cursor < len(self._outline.nodes):
            self.node = self._of_line(int(self._outline.nodes[self.cursor]))
            self.post_message(self.Selected(self.node))

    def chosen(self) -> None:
        self.action_turn()

    def action_turn(self) -> None:
        node = int(self._outline.nodes[self.cursor])
        if self._outline.folds(node):
            self._set_open(node, not self._outline.is_open(node))

    def action_open(self) -> None:
        node = int(self._outline.nodes[self.cursor])
        if self._outline.folds(node) and not self._outline.is_open(node):
            self._set_open(node, True)
        else:
            self.action_move(1)

    def action_fold(self) -> None:
        node = int(self._outline.nodes[self.cursor])
        head = self._outline.head_of(node)
        if self._outline.folds(head) and self._outline.is_open(head):
            self._set_open(head, False)
        elif self._of.forest.depth[head]:
            self.go(self._outline.line_of(int(self._of.forest.parent[head])))

    def action_all(self, is_open: bool) -> None:
        node = self.node
        self._outline.set_all(is_open)
        self.show_rows(len(self._outline.nodes), self._outline.line_of(node))
        self._settle()

    def _set_open(self, head: int, is_open: bool) -> None:
        self._outline.set_open(head, is_open)
        self.show_rows(len(self._outline.nodes), self._outline.line_of(head))
        self._settle()

    def _settle(self) -> None:
        """The line under the cursor may stand for another node now."""
        node = self._of_line(int(self._outline.nodes[self.cursor]))
        if node != self.node:
            self.node = node
            self.post_message(self.Selected(node))
