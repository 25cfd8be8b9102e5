"""How far a command is, and tables: bars on a terminal, plain lines in a log.

Progress goes to standard error and is gone from a terminal when it is done. In a log it is one
line, at most every 10 s and at the end:

    84/96 explore episodes  success 31%  1 errors (no answer within 60 s)  12.4/s  0:00:01 left

or, for programs, one JSON object:

    {"what": "explore episodes", "done": 84, "total": 96, "success": 0.31, "per_s": 12.4, …}

docs/watching.md has the fields.
"""

from __future__ import annotations

import functools
import json
import math
import sys
import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from types import TracebackType
from typing import Any, Protocol, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Column, Table
from rich.text import Text

from w2stree.cli.say import say, warn
from w2stree.experiment.stages.bar import Figures
from w2stree.percent import percent
from w2stree.shorten import shorten, visible

T = TypeVar("T")

_LOG_S = 10.0
_CAUSE = 60  # columns of an error's cause
_BETWEEN = 3  # columns between two texts side by side
_LEAST_HALF = 20
_UNLIMITED = 100_000  # columns; rich assumes 80 where there is no terminal


class InWords(Protocol):
    """Told of progress in words, and in figures for programs."""

    def __call__(
        self, done: int, total: int, words: str, figures: Figures | None = None, /
    ) -> None: ...


class Bars:
    """Shows progress while it is open: the `Bar` that an experiment asks for.

    Open it around everything that prints: on a terminal, printed lines then stand above the bars.
    `as_json`: lines of a log are JSON objects, on a terminal too. `clock` counts the seconds
    between them.
    """

    def __init__(
        self, *, as_json: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._as_json = as_json
        self._next_line = clock()
        self._live = _live() if sys.stderr.isatty() and not as_json else None

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
    def steps(self, what: str) -> Iterator[Callable[[int, int, Figures], None]]:
        """Show `done` of `total`, the pace, the time left and what else is known (`told`)."""
        pace = Pace(self._clock)
        with self._shown(what) as show:

            def update(done: int, total: int, figures: Figures) -> None:
                measured = pace.at(done, total, figures)
                show(done, total, "  ".join(told(figures, measured)), {**figures, **measured})

            yield update

    @contextmanager
    def line(self, what: str) -> Iterator[InWords]:
        """Show `done` of `total` and some words; programs are told the figures instead, where
        there are any."""
        with self._shown(what) as show:

            def update(
                done: int, total: int, words: str, figures: Figures | None = None, /
            ) -> None:
                show(done, total, words, {"said": words} if figures is None else figures)

            yield update

    @contextmanager
    def _shown(self, what: str) -> Iterator[Callable[[int, int, str, Figures], None]]:
        live = self._live
        if live is None:
            yield functools.partial(self._log, what)
            return
        task = live.add_task(visible(what), total=None, words="")
        try:
            yield lambda done, total, words, figures: live.update(
                task, completed=done, total=total, words=visible(words)
            )
        finally:
            live.remove_task(task)

    def _log(self, what: str, done: int, total: int, words: str, figures: Figures) -> None:
        if done != total and self._clock() < self._next_line:
            return
        self._next_line = self._clock() + _LOG_S
        if self._as_json:
            warn_json({"what": what, "done": done, "total": total, **figures})
        else:
            warn(visible(f"{done}/{total} {what}  {words}"))


class Pace:
    """How fast something goes, in this session: what was done before it is no pace."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._started = clock()
        self._before: int | None = None
        self._tokens_before: float | None = None

    def at(self, done: int, total: int, figures: Figures) -> dict[str, float]:
        """`per_s`, `tokens_per_s` and `seconds_left`, as far as they are known."""
        tokens = figures.get("num_tokens")
        if self._before is None:  # a training or an exploration may go on
            self._before = max(0, done - 1)
        seconds = self._clock() - self._started
        measured: dict[str, float] = {}
        if seconds > 0 and done > self._before:
            measured["per_s"] = (done - self._before) / seconds
        if isinstance(tokens, int | float):
            if self._tokens_before is None:
                self._tokens_before = tokens
            elif seconds > 0:
                measured["tokens_per_s"] = (tokens - self._tokens_before) / seconds
        if done:
            measured["seconds_left"] = seconds / max(1, done - self._before) * (total - done)
        return measured


def told(figures: Figures, measured: Mapping[str, float]) -> list[str]:
    """What is known of something under way, in words:

    loss 0.512    success 31%    return 0.42    2 errors (no answer within 60 s)
    3 turns without action    12.4/s    810 tokens/s    0:00:01 left
    """
    words = []
    if "loss" in figures:
        words.append(f"loss {figures['loss']:.3f}")
    if isinstance(success := figures.get("success"), int | float):
        words.append(f"success {percent(success, 0)}")
    if "mean_return" in figures:
        words.append(f"return {figures['mean_return']:.2f}")
    if figures.get("num_errors"):
        cause = f" ({shorten(str(figures['cause']), _CAUSE)})" if "cause" in figures else ""
        words.append(f"{figures['num_errors']:.0f} errors{cause}")
    if figures.get("num_unparsed"):
        words.append(f"{figures['num_unparsed']:.0f} turns without action")
    if "per_s" in measured:
        words.append(f"{measured['per_s']:.1f}/s")
    if measured.get("tokens_per_s"):
        words.append(f"{measured['tokens_per_s']:,.0f} tokens/s")
    if "seconds_left" in measured:
        words.append(left(measured["seconds_left"]))
    return words


def warn_json(record: Mapping[str, object]) -> None:
    """One line of JSON on standard error; a figure that JSON has no number for is null."""
    warn(json.dumps(_with_null(record)))


def _with_null(value: Any) -> Any:
    match value:
        case float() if not math.isfinite(value):
            return None
        case Mapping():
            return {key: _with_null(inner) for key, inner in value.items()}
        case list():
            return [_with_null(inner) for inner in value]
        case _:
            return value


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
