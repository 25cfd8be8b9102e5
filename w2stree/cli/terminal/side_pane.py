"""Whole texts in two columns, those of one row beginning at one height."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import ClassVar

from rich.cells import cell_len
from textual.binding import BindingType

from w2stree.cli.terminal.lines import Lines, Part
from w2stree.cli.terminal.text_pane import Paragraph, TextPane, broken_paragraph, with_hits

_BETWEEN = " │ "

Row = tuple[Sequence[Paragraph]] | tuple[Sequence[Paragraph], Sequence[Paragraph]]
"""Paragraphs over the whole width, or of each side."""


class SidePane(Lines):
    """Rows to read, one below the other."""

    BINDINGS: ClassVar[list[BindingType]] = list(TextPane.BINDINGS)

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._rows: Sequence[Row] = ()
        self._query = ""
        self._broken: list[tuple[Part, ...]] = []
        self._broken_at = -1

    def show(self, rows: Iterable[Row], query: str = "") -> None:
        """These, from their top; where the query is in a line, that is shown."""
        self._rows = tuple(rows)
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

    def _lines_of(self, row: Row) -> Iterator[tuple[Part, ...]]:
        width = self._broken_at if len(row) == 1 else self._half
        sides = [[part for p in side for part in broken_paragraph(*p, width)] for side in row]
        yield from zip_longest(*sides, fillvalue=("", ""))
