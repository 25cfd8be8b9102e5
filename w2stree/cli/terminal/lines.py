"""Lists of lines of which those in sight are drawn, however many there are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from w2stree.shorten import visible

Part = tuple[str, str | Style]
"""A piece of a line: its text, and what it is ("", "soft", "head", "hit", "mark") or its style."""


class Lines(ScrollView, can_focus=True):
    """Lines to scroll through. Texts are shown by `visible`, and never read as markup."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "lines--cursor", "lines--soft", "lines--head", "lines--hit", "lines--mark"
    }  # fmt: skip
    DEFAULT_CSS = """
    Lines {
        overflow-x: hidden;
        overflow-y: auto;
        scrollbar-size-vertical: 1;
        & > .lines--cursor { background: $primary-muted; }
        &:focus > .lines--cursor { background: $primary; color: $text; }
        & > .lines--soft { color: $text-muted; }
        & > .lines--head { text-style: bold; color: $text-accent; }
        & > .lines--hit { text-style: underline; color: $text-warning; }
        & > .lines--mark { color: $text-warning; }
    }
    """

    count = 0

    def show_lines(self, count: int) -> None:
        """There are so many now."""
        self.count = count
        self.virtual_size = Size(1, count)
        self.refresh()

    def line(self, index: int, width: int) -> Iterable[Part]:
        """The parts of a line, in at most `width` columns; what is beyond is cut."""
        raise NotImplementedError

    @property
    def line_width(self) -> int:
        """Columns."""
        return self.scrollable_content_region.width

    def line_style(self, index: int) -> Style:
        """What is under all parts of a line."""
        return self.rich_style

    def render_line(self, y: int) -> Strip:
        width, index = self.line_width, y + int(self.scroll_offset.y)
        if index >= self.count:
            return Strip.blank(width, self.rich_style)
        under = self.line_style(index)
        segments = [
            Segment(visible(text), under + self._style(kind))
            for text, kind in self.line(index, width)
        ]
        return Strip(segments).adjust_cell_length(width, under)

    def _style(self, kind: str | Style) -> Style:
        if isinstance(kind, Style):
            return kind
        if not kind:
            return Style.null()
        # The foreground alone, upon whatever the line has.
        style = self.get_component_rich_style(f"lines--{kind}")
        return style.without_color + Style(color=style.color)


class Rows(Lines):
    """Lines with a cursor upon one of them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("home,g", "jump(0)", "First", show=False),
        Binding("end,G", "jump(-1)", "Last", show=False),
    ]
    cursor: reactive[int] = reactive(0)

    @dataclass
    class Moved(Message):
        """The cursor stands on another line, by a key or a click."""

        rows: Rows

        @property
        def control(self) -> Rows:
            return self.rows

    def line_style(self, index: int) -> Style:
        if index != self.cursor:
            return self.rich_style
        return self.rich_style + self.get_component_rich_style("lines--cursor", partial=True)

    def show_rows(self, count: int, cursor: int) -> None:
        """There are so many now, and the cursor stands there."""
        self.show_lines(count)
        self.set_reactive(Rows.cursor, max(0, min(count - 1, cursor)))
        self._keep_in_sight()

    def watch_cursor(self) -> None:
        self.refresh()
        self._keep_in_sight()

    def _keep_in_sight(self) -> None:
        self.scroll_to_region(Region(0, self.cursor, 1, 1), animate=False, force=True)

    def go(self, index: int) -> None:
        """The cursor to a line, or to the nearest that there is."""
        if self.count and (index := max(0, min(self.count - 1, index))) != self.cursor:
            self.cursor = index
            self.post_message(self.Moved(self))

    def action_move(self, by: int) -> None:
        self.go(self.cursor + by)

    def action_page(self, by: int) -> None:
        self.go(self.cursor + by * max(1, self.scrollable_content_region.height - 1))

    def action_jump(self, to: int) -> None:
        self.go(to % max(1, self.count))

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        if offset is None or (index := offset.y + int(self.scroll_offset.y)) >= self.count:
            return
        self.go(index)
        if event.chain == 2:
            self.chosen()

    def chosen(self) -> None:
        """What a double click does."""

    def on_resize(self) -> None:
        self._keep_in_sight()
