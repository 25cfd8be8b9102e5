"""A forest to browse in a terminal: the table of tasks, and of one task its tree and whole texts.

┌ tasks ───────────────┐  enter   ┌ outline ──────┬ text of the node ┐
│ 7  3/7  …  heat/apple│ ───────> │ ▾ take key    │ Step 3           │
│ 7  0/7  …  clean/fork│ <─────── │   ▸ wait > …  │ Action …         │
└──────────────────────┘  escape  └───────────────┴──────────────────┘
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.events import Resize
from textual.widgets import Footer, Input, Static

from w2stree.cli.say import counted
from w2stree.cli.terminal.hits import Hits
from w2stree.cli.terminal.keys import Keys
from w2stree.cli.terminal.lines import Rows
from w2stree.cli.terminal.node_text import node_text, run_text
from w2stree.cli.terminal.task_rows import TaskRows
from w2stree.cli.terminal.text_pane import TextPane
from w2stree.cli.terminal.tree_rows import TreeRows
from w2stree.cli.terminal.two_runs import two_runs
from w2stree.shorten import shorten, visible

if TYPE_CHECKING:
    from w2stree.cli.terminal.looked_at import LookedAt

_WIDE = 90  # columns from which on outline and text stand side by side
_HIGH = 24  # lines from which on they stand one above the other; else one of them is shown
_DARK, _LIGHT = "textual-dark", "textual-light"


class Asked(StrEnum):
    """What the line at the bottom is for."""

    SEARCH = "Search all texts"
    FILTER = "Tasks with, in their id"


class ForestApp(App[None]):
    """The view. `node`: where it opens, or the table of tasks."""

    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #title { height: 1; background: $panel; color: $text; padding: 0 1; }
    #columns { height: 1; color: $text-muted; }
    #tasks, #tree, #list { height: 1fr; }
    #outline, #text, #two { width: 1fr; height: 1fr; }
    #text, #two { padding: 0 1; }
    #two { display: none; }
    .comparing #tree #two { display: block; }
    .comparing #tree #outline, .comparing #tree #text { display: none; }
    #tree { layout: horizontal; }
    .side #text { border-left: solid $panel; }
    .above #tree { layout: vertical; }
    .above #text { border-top: solid $panel; }
    .one #tree #text { display: none; }
    .one.reading #tree #text { display: block; }
    .one.reading #tree #outline { display: none; }
    #asked { display: none; border: none; height: 1; padding: 0 1; }
    #asked.shown { display: block; }
    .in-tree #tasks { display: none; }
    .in-tasks #tree { display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Back", tooltip="Back: to the outline, to the tasks"),
        Binding("f", "filter", "Filter", tooltip="Tasks by a part of their id"),
        Binding("tab", "switch", "Text", priority=True, tooltip="Between outline and text"),
        Binding("r", "read", "Best run", tooltip="The best run through the node, whole"),
        Binding("c", "compare", "Two runs", tooltip="The best run through the node and the worst"),
        Binding("slash", "search", "Search", key_display="/", tooltip="Search all texts"),
        Binding("n", "next(1)", "Next", tooltip="The next place that was found"),
        Binding("N", "next(-1)", "The place before", show=False),
        Binding("right_square_bracket", "task(1)", "Next task", show=False),
        Binding("left_square_bracket", "task(-1)", "Task before", show=False),
        Binding("t", "theme", "Light or dark", show=False),
        Binding("question_mark", "keys", "Keys", key_display="?"),
        Binding("q,ctrl+c", "quit", "Quit", key_display="q"),
    ]

    def __init__(self, of: LookedAt, *, node: int | None = None) -> None:
        super().__init__()
        self._of = of
        self._opened_at = node
        self._hits: Hits | None = None
        self._asked = Asked.SEARCH

    def compose(self) -> ComposeResult:
        yield Static(id="title", markup=False)
        with Vertical(id="tasks"):
            yield Static(id="columns", markup=False)
            yield TaskRows(self._of, id="list")
        with Container(id="tree"):
            yield TreeRows(self._of, id="outline")
            yield TextPane(id="text")
            yield TextPane(id="two")
        yield Input(id="asked", select_on_focus=False)
        yield Footer(compact=True)

    def on_mount(self) -> None:
        self._lay_out(self.size.width, self.size.height)
        self._show_tasks()
        if self._opened_at is not None:
            self._go(self._opened_at)

    def on_resize(self, event: Resize) -> None:
        self._lay_out(event.size.width, event.size.height)
        self.call_after_refresh(self._say_where)

    def _lay_out(self, width: int, height: int) -> None:
        way = "side" if width >= _WIDE else "above" if height >= _HIGH else "one"
        for name in ("side", "above", "one"):
            self.screen_stack[0].set_class(name == way, name)

    # Places ------------------------------------------------------------------------------------

    @property
    def _tasks(self) -> TaskRows:
        return self.screen_stack[0].query_one(TaskRows)

    @property
    def _tree(self) -> TreeRows:
        return self.screen_stack[0].query_one(TreeRows)

    @property
    def _text(self) -> TextPane:
        return self.screen_stack[0].query_one("#text", TextPane)

    @property
    def _two(self) -> TextPane:
        return self.screen_stack[0].query_one("#two", TextPane)

    @property
    def _query(self) -> str:
        """What is looked for; "" where nothing is."""
        return "" if self._hits is None else self._hits.query

    @property
    def _is_comparing(self) -> bool:
        return self.screen_stack[0].has_class("comparing")

    @property
    def _is_in_tree(self) -> bool:
        return self.screen_stack[0].has_class("in-tree")

    def _show(self, place: str) -> None:
        screen = self.screen_stack[0]
        screen.set_class(place == "tree", "in-tree")
        screen.set_class(place == "tasks", "in-tasks")
        screen.set_class(False, "reading")
        screen.set_class(False, "comparing")
        (self._tree if place == "tree" else self._tasks).focus()
        self._say_where()
        self.refresh_bindings()

    def _show_tasks(self) -> None:
        self._show("tasks")

    def _go(self, node: int) -> None:
        """To a node, in the tree."""
        self._tree.select(node)
        self._tasks.put_cursor_on(self._of.tree_of(node))
        self._describe(node)
        if not self._is_in_tree or self._is_comparing:
            self._show("tree")
        self._say_where()

    def _describe(self, node: int) -> None:
        self._text.show([(node_text(self._of, node),)], self._query)

    def _say_where(self) -> None:
        """The line at the top, and the names of columns."""
        of = self._of
        if self._is_in_tree:
            node = self._tree.node
            depth = int(of.forest.depth[node])
            told = f"{shorten(of.task_of(node), 200)}{f', step {depth:,}' if depth else ''}"
        else:
            runs, nodes = len(of.forest.total_return), of.forest.num_nodes
            told = f"{counted(runs, 'run')}, {counted(nodes, 'node')}"
            told = f"{shorten(of.title, 60)} | {self._tasks.state} | {told}"
            self.screen_stack[0].query_one("#columns", Static).update(visible(self._tasks.header))
        if self._hits is not None:
            found = counted(len(self._hits), "place")
            told = f'{found} with "{shorten(self._hits.query, 30)}" | {told}'
        self.screen_stack[0].query_one("#title", Static).update(visible(told))

    def on_tree_rows_selected(self, message: TreeRows.Selected) -> None:
        self._describe(message.node)
        self._say_where()

    def on_task_rows_chosen(self, message: TaskRows.Chosen) -> None:
        self._go(int(self._of.forest.root[message.tree]))

    def on_task_rows_listed(self) -> None:
        self._say_where()

    # Keys --------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that do nothing here are not in the footer."""
        if len(self.screen_stack) > 1:
            return action == "quit"
        if action in ("switch", "read", "compare"):
            return self._is_in_tree and not self._is_comparing
        if action == "task":
            return self._is_in_tree
        if action == "filter":
            return not self._is_in_tree
        if action == "next":
            return self._hits is not None
        if action == "leave":
            return self._is_in_tree or self._is_asking or self._hits is not None
        return True

    def action_leave(self) -> None:
        if self._is_asking:
            self._answer_none()
        elif self._is_comparing:
            self._show("tree")
        elif self._text.has_focus:
            self.action_switch()
            self._describe(self._tree.node)
        elif self._is_in_tree:
            self._show_tasks()
        elif self._hits is not None:
            self.search("")

    def action_switch(self) -> None:
        """Between outline and text."""
        if self._is_asking:
            return
        is_reading = not self._text.has_focus
        self.screen_stack[0].set_class(is_reading, "reading")
        (self._text if is_reading else self._tree).focus()

    def action_read(self) -> None:
        """The best run through the node, whole; the first of several."""
        runs = self._of.best_first(self._tree.node)
        if runs:
            self._text.show([(run_text(self._of, runs[0]),)], self._query)
            self.screen_stack[0].set_class(True, "reading")
            self._text.focus()

    def action_compare(self) -> None:
        """The best run through the node beside the worst one; where there is one, that."""
        runs = self._of.best_first(self._tree.node)
        if len(runs) < 2:
            self.action_read()
            return
        self.screen_stack[0].set_class(False, "reading")
        self.screen_stack[0].set_class(True, "comparing")
        self._two.show(two_runs(self._of, runs[0], runs[-1]), self._query)
        self._two.focus()
        self.refresh_bindings()

    def action_task(self, by: int) -> None:
        tree = self._of.tree_of(self._tree.node) + by
        if 0 <= tree < len(self._of.tasks):
            self._go(int(self._of.forest.root[tree]))

    def action_next(self, by: int) -> None:
        if self._hits is None:
            return
        at = self._tree.node if self._is_in_tree else -1
        if (node := self._hits.next(at, by)) is not None:
            self._go(node)

    def action_theme(self) -> None:
        self.theme = _LIGHT if self.theme == _DARK else _DARK

    def action_keys(self) -> None:
        self.push_screen(Keys(Rows, TaskRows, TreeRows, ForestApp))

    # The line at the bottom --------------------------------------------------------------------

    @property
    def _input(self) -> Input:
        return self.screen_stack[0].query_one(Input)

    @property
    def _is_asking(self) -> bool:
        return self._input.has_class("shown")

    def action_search(self) -> None:
        self._ask(Asked.SEARCH)

    def action_filter(self) -> None:
        self._ask(Asked.FILTER)

    def _ask(self, what: Asked) -> None:
        self._asked = what
        self._input.placeholder = what
        self._input.value = ""
        self._input.add_class("shown")
        self._input.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        if self._is_asking and self._asked is Asked.FILTER:
            self._tasks.set_filter(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self._close_line()
        if self._asked is Asked.SEARCH:
            self.search(event.value)

    def _answer_none(self) -> None:
        self._close_line()
        if self._asked is Asked.FILTER:
            self._tasks.set_filter("")

    def _close_line(self) -> None:
        self._input.remove_class("shown")
        shown = self._tree if self._is_in_tree else self._tasks
        (self._two if self._is_comparing else shown).focus()

    def search(self, query: str) -> None:
        """Of an empty query there is nothing to be found any more."""
        self._hits = Hits(query, self._of.forest) if query else None
        self._tree.hits = self._hits
        self._tasks.set_hits(self._hits)
        self.refresh_bindings()
        if self._is_in_tree:
            self._describe(self._tree.node)
            self._tree.refresh()
            if self._hits is not None and not self._hits.is_at[self._tree.node]:
                self.action_next(1)
        if self._is_comparing:
            self.action_compare()  # with what is looked for marked in it
        self._say_where()
