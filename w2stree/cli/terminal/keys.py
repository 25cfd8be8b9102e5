"""The keys, all of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.dom import DOMNode
from textual.screen import ModalScreen

from w2stree.cli.terminal.text_pane import Paragraph, TextPane

_SIGNS = {
    "slash": "/", "question_mark": "?", "left_square_bracket": "[", "right_square_bracket": "]"
}  # fmt: skip
_MARKS = (
    "n runs, r their mean return; . some end here, * runs part here by their actions, ~ one action "
    "was answered in several ways, ^ on a best path of the search; the colour is the mean return, "
    "from blue, the least, to yellow"
)


class Keys(ModalScreen[None]):
    """A page of help; any of its keys closes it."""

    CSS = """
    Keys { align: center middle; }
    Keys TextPane { width: 60; max-width: 100%; height: 90%; background: $panel; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,enter", "dismiss", "Close")
    ]

    def __init__(self, *of: type[DOMNode]) -> None:
        super().__init__()
        self._classes_of_keys = of

    def compose(self) -> ComposeResult:
        yield TextPane(id="keys")

    def on_mount(self) -> None:
        self.query_one(TextPane).show([(self._told(),)])

    def _told(self) -> Iterator[Paragraph]:
        titles = ("Up and down", "Tasks", "A tree", "Everywhere")
        for title, of in zip(titles, self._classes_of_keys, strict=True):
            yield title, "head"
            own: Any = of.__dict__["BINDINGS"]
            for binding in own:
                keys = " ".join(_SIGNS.get(key, key) for key in binding.key.split(","))
                yield f"{keys:<12} {binding.tooltip or binding.description}", ""
            yield "", ""
        yield "Marks", "head"
        yield _MARKS, ""
