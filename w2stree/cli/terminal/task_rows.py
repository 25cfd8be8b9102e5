"""The table of tasks: sorted, filtered, and by what a search found in each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message

from w2stree.cli.task_order import HEADER, Order, Won, cells, sorted_tasks, won
from w2stree.cli.terminal.lines import Part, Rows
from w2stree.shorten import cut, shorten, visible

if TYPE_CHECKING:
    from w2stree.cli.terminal.hits import Hits
    from w2stree.cli.terminal.looked_at import LookedAt
    from w2stree.forest.tasks import TaskSummary

_ALL = ("runs", "success", "return", "spread", "pairs")
_FEW = ("runs", "success", "pairs")
_WIDE = 64  # columns from which on there is room for all
_OUTCOMES = (None, Won.NONE, Won.SOME, Won.ALL)
_WORDS = {
    None: "all tasks", Won.NONE: "no success", Won.SOME: "some successes", Won.ALL: "all successes"
}  # fmt: skip


class TaskRows(Rows):
    """A line a task."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "Open", key_display="↵"),
        Binding("s", "sort", "Sort", tooltip="Sort by the next column"),
        Binding("S", "reverse", "The other way round", show=False),
        Binding("o", "outcome", "Outcome", tooltip="Where none, some or all runs succeeded"),
    ]

    @dataclass
    class Chosen(Message):
        """A task is to be opened."""

        tree: int

    @dataclass
    class Listed(Message):
        """Others are listed, or in another order."""

    def __init__(self, of: LookedAt, *, id: str) -> None:
        super().__init__(id=id)
        self._of = of
        self._tree_of = {row.task_id: tree for tree, row in enumerate(of.tasks)}
        self._order: Order | None = None
        self._is_reversed = False
        self._outcome: Won | None = None
        self._filter = ""
        self._hits: Sequence[int] | None = None
        self._rows: list[TaskSummary] = list(of.tasks)
        self._widths = _widths(of.tasks)

    def on_mount(self) -> None:
        super().on_mount()  # type: ignore[no-untyped-call]
        self.relist()

    @property
    def header(self) -> str:
        """Names of the columns, as wide as they are, the one that is sorted by marked."""
        names = [(name, self._named(name)) for name in self._columns(self.line_width)]
        return (
            "".join(f"{shown:>{self._width(name)}}" for name, shown in names)
            + f"  {self._named('task')}"
        )

    @property
    def state(self) -> str:
        """How many tasks are listed, and which."""
        told = [f"{len(self._rows):,} of {len(self._of.tasks):,} tasks"]
        if self._filter:
            told.append(f'with "{self._filter}"')
        if self._outcome is not None:
            told.append(_WORDS[self._outcome])
        return ", ".join(told)

    def set_hits(self, hits: Hits | None) -> None:
        """What a search has found: the tasks with the most of it first."""
        self._hits = None if hits is None else hits.by_tree().tolist()
        self.relist()

    def set_filter(self, text: str) -> None:
        """Tasks that have this in their id."""
        self._filter = text
        self.relist()

    def put_cursor_on(self, tree: int) -> None:
        """Where the task is listed."""
        for index, row in enumerate(self._rows):
            if self._tree_of[row.task_id] == tree:
                self.show_rows(len(self._rows), index)

    def relist(self) -> None:
        """The list anew; the cursor stays on its task."""
        before = self._rows[self.cursor].task_id if self.cursor < len(self._rows) else None
        wanted = self._filter.lower()
        rows = list(self._of.tasks)
        if wanted:
            rows = [row for row in rows if wanted in visible(row.task_id).lower()]
        if self._outcome is not None:
            rows = [row for row in rows if won(row) is self._outcome]
        rows = sorted_tasks(rows, self._order, reverse=self._is_reversed)
        if (hits := self._hits) is not None and self._order is None:
            rows.sort(key=lambda row: -hits[self._tree_of[row.task_id]])
        self._rows = rows
        at = next((i for i, row in enumerate(rows) if row.task_id == before), 0)
        self.show_rows(len(rows), 0 if self._hits is not None else at)
        self.post_message(self.Listed())

    def line(self, index: int, width: int) -> Iterable[Part]:
        row = self._rows[index]
        told = dict(zip(HEADER, cells(row), strict=True))
        if self._hits is not None:
            told["hits"] = f"{self._hits[self._tree_of[row.task_id]]:,}"
        left = width - 2
        for name in self._columns(width):
            yield f"{told[name]:>{self._width(name)}}", "hit" if name == "hits" else ""
            left -= self._width(name)
        yield "  ", ""
        yield cut(shorten(row.task_id, max(1, left)), max(1, left)), "head"

    def _columns(self, width: int) -> list[str]:
        shown = list(_ALL if width >= _WIDE else _FEW)
        if self._order is not None and self._order not in (Order.TASK, *shown):
            shown.append(self._order)
        return shown if self._hits is None else ["hits", *shown]

    def _width(self, name: str) -> int:
        return self._widths.get(name, 9)

    def _named(self, name: str) -> str:
        if name != self._order:
            return name
        return f"{name}{'▲' if self._is_reversed is (self._order is not Order.TASK) else '▼'}"

    def chosen(self) -> None:
        self.action_choose()

    def action_choose(self) -> None:
        if self._rows:
            self.post_message(self.Chosen(self._tree_of[self._rows[self.cursor].task_id]))

    def action_sort(self) -> None:
        orders = [None, *Order]
        self._order = orders[(orders.index(self._order) + 1) % len(orders)]
        self.relist()

    def action_reverse(self) -> None:
        self._is_reversed = not self._is_reversed
        self.relist()

    def action_outcome(self) -> None:
        if any(won(row) is None for row in self._of.tasks if row.num_runs):
            self.notify(
                "Returns lie outside [0, 1]: --success-at says from which on a run is a success",
                markup=False,
            )
            return
        self._outcome = _OUTCOMES[(_OUTCOMES.index(self._outcome) + 1) % len(_OUTCOMES)]
        self.relist()


def _widths(rows: Sequence[TaskSummary]) -> dict[str, int]:
    """Columns of each, a space before it included; of the longest number, not of every cell."""
    most_runs = max((row.num_runs for row in rows), default=0)
    most_pairs = max((row.num_pairs for row in rows), default=0)
    return {
        "runs": max(6, len(f"{most_runs:,}") + 1),
        "success": max(9, 2 * len(f"{most_runs:,}") + 2),
        "pairs": max(8, len(f"{most_pairs:,}") + 1),
    }
