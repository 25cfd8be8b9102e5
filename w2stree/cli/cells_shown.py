"""What an experiment of many runs shows while it runs: a line of all cells, and what each does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from w2stree.cli.progress import InWords, left, warn_json
from w2stree.cli.say import say

if TYPE_CHECKING:
    from w2stree.experiment.grid.cells import Unit
    from w2stree.experiment.grid.work import Doing, Kind


class CellsShown:
    """Told by `run_cells`; shows in words, or as lines of JSON (`as_json`).

    `show` is the line of all cells (`Bars.line`).
    """

    def __init__(self, show: InWords, total: int, *, as_json: bool) -> None:
        self._show, self._as_json = show, as_json
        self._now: dict[Unit, Doing] = {}
        self._done, self._total = 0, total
        self._seconds_left: float | None = None

    def progress(self, done: int, total: int, seconds_left: float | None) -> None:
        """How many cells are done, and how long the others may take."""
        self._done, self._total, self._seconds_left = done, total, seconds_left
        self._draw()

    def announce(self, unit: Unit, kind: Kind, what: str | Doing) -> None:
        """What happens in a cell."""
        if kind == "progress":
            self._now[unit] = cast("Doing", what)
            self._draw()
            return
        if kind in ("done", "failed"):
            self._now.pop(unit, None)
        if self._as_json:
            warn_json({**_named(unit), **_told(kind, str(what))})
        elif kind != "stage" or "running" in str(what) or "waiting" in str(what):
            say(f"{unit!s:<48} {what if kind == 'stage' else f'{kind}: {what}'}")

    def _draw(self) -> None:
        seconds = self._seconds_left
        words = ["" if seconds is None else left(seconds)]
        words += [f"{unit}: {doing}" for unit, doing in self._now.items()]
        figures = {
            **({} if seconds is None else {"seconds_left": seconds}),
            "running": [{**_named(unit), **_figures(now)} for unit, now in self._now.items()],
        }
        self._show(self._done, self._total, "  ".join(words), figures)


def _named(unit: Unit) -> dict[str, Any]:
    return {"world": unit.world, "variant": unit.variant, "seed": unit.seed, "cell": unit.name}


def _figures(now: Doing) -> Mapping[str, Any]:
    return {"what": now.what, "done": now.done, "total": now.total, **now.figures}


def _told(kind: Kind, what: str) -> dict[str, str]:
    if kind == "stage":
        stage, _, said = what.partition(" ")
        return {"stage": stage, "said": said}
    return {"warning": what} if kind == "warning" else {"ended": kind, "said": what}
