"""Whole texts, broken at the width of their pane."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import zip_longest
from typing import ClassVar

from rich.cells import cell_len
from rich.style import Style
from textual.binding import Binding, BindingType

from w2stree.cli.terminal.lines import Lines, Part
from w2stree.shorten import visible

_INDENT = "  "  # of texts from outside: none can be taken for a line of ours
_TAB = 4

_BETWEEN = " │ "

Paragraph = tuple[str, str]
"""A text and what it is: "head", "soft", or "text" for one from outside."""

Row = tuple[Iterable[Paragraph]] | tuple[Iterable[Paragraph], Iterable[Paragraph]]
"""Paragraphs over the whole width, or of each side, which begin at one height."""


class TextPane(Lines):
    """Rows of paragraphs to read, one below the other."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "scroll_down", "Down", show=False),
        Binding("k", "scroll_up", "Up", show=False),
        Binding("g", "scroll_home", "Top", show=False),
        Binding("G", "scroll_end", "End", show=False),
    ]

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._rows: list[list[list[Paragraph]]] = []
        self._query = ""
        self._broken: list[tuple[Part, ...]] = []
        self._broken_at = -1

    def show(self, rows: Iterable[Row], query: str = "") -> None:
        """These, from their top; where the query is in a line, that is shown."""
        self._rows = [[list(side) for side in row] for row in rows]
        self._query = query.lower()
        self._broken_at = -1
        self._break()
        self.scroll_to(y=0, animate=False)

    def line(self, index: int, width: int) -> Iterable[Part]:
        left, *right = self._broken[index]
        yield from with_hits(*left, self._query)
        if right:
            yield " " * max(0, self._half - cell_len(left[0])), ""
            yield _BETWEEN, "soft"
            yield from with_hits(*right[0], self._query)

    def on_resize(self) -> None:
        self._break()

    @property
    def _half(self) -> int:
        """Columns of a side."""
        return max(1, (self._broken_at - len(_BETWEEN)) // 2)

    def _break(self) -> None:
        width = self.line_width
        if width == self._broken_at or width <= 0:
            return
        self._broken_at = width
        self._broken = [line for row in self._rows for line in self._lines_of(row)]
        self.show_lines(len(self._broken))

    def _lines_of(self, row: list[list[Paragraph]]) -> Iterator[tuple[Part, ...]]:
        width = self._broken_at if len(row) == 1 else self._half
        sides = [[part for p in side for part in broken_paragraph(*p, width)] for side in row]
        yield from zip_longest(*sides, fillvalue=("", ""))


def broken_paragraph(text: str, kind: str, width: int) -> Iterator[Part]:
    """Its lines at that width, as parts."""
    if kind != "text":
        yield from ((line, kind) for line in broken(text, width))
        return
    for line in broken(text, width - len(_INDENT)):
        yield f"{_INDENT}{line}", ""


def broken(text: str, width: int) -> Iterator[str]:
    """Its lines, what is hidden in them shown, broken between words where that is possible, at
    `width` columns (2 at least). Of a break between words the space is left out."""
    width = max(2, width)
    for whole in text.split("\n"):
        line = visible(whole.expandtabs(_TAB))
        begin = 0
        while (end := _fitting(line, begin, width)) < len(line):
            space = line.rfind(" ", begin + 1, end + 1)
            if space > begin:
                yield line[begin:space]
                begin = space + 1
            else:
                yield line[begin:end]
                begin = end
        yield line[begin:]


def _fitting(line: str, begin: int, width: int) -> int:
    """Where what fits from `begin` on ends; at least a character does."""
    end = min(len(line), begin + width)
    part = line[begin:end]
    if part.isascii():
        return end
    while end > begin + 1 and (over := cell_len(line[begin:end]) - width) > 0:
        end -= (over + 1) // 2
    return max(end, begin + 1) if begin < len(line) else end


def with_hits(text: str, kind: str | Style, query: str) -> Iterator[Part]:
    """A line; of a text from outside with what is looked for in it marked, whatever its case."""
    if not query or kind:
        yield text, kind
        return
    low, begin = text.lower(), 0
    if len(low) == len(text):
        while (at := low.find(query, begin)) >= 0:
            yield text[begin:at], ""
            yield text[at : at + len(query)], "hit"
            begin = at + len(query)
    yield text[begin:], ""
