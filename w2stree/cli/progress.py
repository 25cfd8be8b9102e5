"""How far a command is, and tables: bars on a terminal, plain lines in a log.

Progress goes to standard error and is gone from a terminal when it is done. In a log it is one
line, at most every 10 s and at the end:

    84/96 episodes  success 0.31  1 errors  12.4/s  0:00:01 left  twc/train/6: 2/5
"""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from types import TracebackType
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Column, Table
from rich.text import Text

from w2stree.cli.say import say, warn
from w2stree.shorten import visible

T = TypeVar("T")

_LOG_S = 10.0
_BETWEEN = 3  # columns between two texts side by side
_LEAST_HALF = 20
_UNLIMITED = 100_000  # columns; rich assumes 80 where there is no terminal


class Bars:
    """Shows progress while it is open: the `Bar` that an experiment asks for.

    Open it around everything that prints: on a terminal, printed lines then stand above the bars.
    `clock` counts the seconds between a log's lines.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._next_line = clock()
        self._live = _live() if sys.stderr.isatty() else None

    def __enter__(self) -> Bars:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._live:
            self._live.stop()

    def __call__(self, items: Iterable[T], *, total: int, what: str) -> Iterator[T]:
        """Pass the items on and count them."""
        with self.steps(what) as update:
            for done, item in enumerate(items, start=1):
                yield item
                update(done, total, {})

    @contextmanager
    def steps(self, what: str) -> Iterator[Callable[[int, int, Mapping[str, float]], None]]:
        """Show `done` of `total`, the time left and, among the metrics, the loss, and how many
        turns had no action where any had none."""
        started = self._clock()
        before: int | None = None  # what was done when this began: a training may go on
        with self.line(what) as show:

            def update(done: int, total: int, metrics: Mapping[str, float]) -> None:
                nonlocal before
                before = max(0, done - 1) if before is None else before
                seconds = self._clock() - started
                words = [f"loss {metrics['loss']:.3f}"] if "loss" in metrics else []
                if metrics.get("num_unparsed"):
                    words.append(f"{metrics['num_unparsed']:.0f} turns without action")
                words += [left(seconds / (done - before) * (total - done))] if done else []
                show(done, total, "  ".join(words))

            yield update

    @contextmanager
    def line(self, what: str) -> Iterator[Callable[[int, int, str], None]]:
        """Show `done` of `total` and some words."""
        live = self._live
        if live is None:
            yield functools.partial(self._log, what)
            return
        task = live.add_task(visible(what), total=None, words="")
        try:
            yield lambda done, total, words: live.update(
                task, completed=done, total=total, words=visible(words)
            )
        finally:
            live.remove_task(task)

    def _log(self, what: str, done: int, total: int, words: str) -> None:
        if done == total or self._clock() >= self._next_line:
            self._next_line = self._clock() + _LOG_S
            warn(visible(f"{done}/{total} {what}  {words}"))


def _live() -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TextColumn(
            "{task.fields[words]}",
            markup=False,
            # It takes what room the bar leaves: a task's id may be wider than the terminal.
            table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1),
        ),
        expand=True,
        console=Console(stderr=True),
        transient=True,
        refresh_per_second=5,
        # Lines printed meanwhile stand above the bars; a redirected output stays where it goes.
        redirect_stdout=sys.stdout.isatty(),
    )


def left(seconds: float) -> str:
    """0:00:01 left"""
    return f"{timedelta(seconds=round(seconds))} left"


def print_table(
    header: Sequence[str], rows: Iterable[Sequence[str]], *, names: Container[int] = (0,)
) -> None:
    """Columns of `names` to the left, figures to the right; as wide as it is, whatever it is
    printed to."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for i, name in enumerate(header):
        table.add_column(Text(name), justify="left" if i in names else "right", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(visible(cell)) for cell in row))
    console = Console(width=_UNLIMITED)
    console.width = console.measure(table).maximum
    with console.capture() as drawn:
        console.print(table)
    say("\n".join(line.rstrip() for line in drawn.get().splitlines()), raw=True)


def print_side_by_side(rows: Iterable[tuple[Sequence[str], Sequence[str]]], width: int) -> None:
    """Lines on the left and on the right, each row beginning at one height; no text is cut: lines
    that are too long for half of the `width` go on below."""
    half = max(_LEAST_HALF, (width - _BETWEEN) // 2)
    grid = Table.grid(padding=(0, _BETWEEN, 0, 0), pad_edge=False)
    for _ in range(2):
        grid.add_column(width=half, overflow="fold")
    for left, right in rows:
        grid.add_row(*(Text("\n".join(map(visible, lines))) for lines in (left, right)))
    console = Console(width=2 * half + _BETWEEN)
    with console.capture() as drawn:
        console.print(grid)
    say("\n".join(line.rstrip() for line in drawn.get().splitlines()), raw=True)
