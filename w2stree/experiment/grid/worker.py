"""The program that runs cells and measures: one after another, in a process of its own.

    the grid ──stdin──> {"config": …, "method": "tree_dpo", "run_dir": …}      one line, one cell
                        {"config": …, "analysis": {"bias": {…}}, "run_dir": …} or one analysis
    the grid <─ a pipe ─ {"stage": …}  {"warning": …}  {"record": …} or {"error": …}

It ends when nobody holds its standard input: whatever ends the grid, nothing runs on.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from w2stree.errors import Error
from w2stree.experiment.config import config_from_record
from w2stree.experiment.grid.asked import asked
from w2stree.experiment.grid.measuring import run_cell, run_measurement
from w2stree.experiment.stages.bar import Figures, Line, Update

T = TypeVar("T")

Tell = Callable[[Mapping[str, Any]], None]

_EVERY_S = 1.0


class _Told:
    """The `Bar` that tells another process, once a second."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._next = 0.0

    def __call__(self, items: Iterable[T], *, total: int, what: str) -> Iterator[T]:
        with self.steps(what) as update:
            for done, item in enumerate(items, start=1):
                yield item
                update(done, total, {})

    @contextmanager
    def steps(self, what: str) -> Iterator[Update]:
        def update(done: int, total: int, metrics: Figures) -> None:
            if time.monotonic() >= self._next:
                self._next = time.monotonic() + _EVERY_S
                told = {"what": what, "done": done, "total": total, "figures": metrics}
                self._tell({"progress": told})

        yield update

    @contextmanager
    def line(self, what: str) -> Iterator[Line]:
        yield lambda done, total, words: None  # stages are told of by `announce`


def main() -> None:
    pipe = os.fdopen(int(sys.argv[1]), "w", encoding="utf-8")
    held = threading.Lock()

    def tell(event: Mapping[str, Any]) -> None:
        with held:
            pipe.write(f"{json.dumps(event, default=str)}\n")
            pipe.flush()

    def warn(message: Warning | str, *_: Any, **__: Any) -> None:
        tell({"warning": str(message)})

    warnings.showwarning = warn
    warnings.filterwarnings("ignore", category=FutureWarning)  # of packages among themselves
    asked: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(asked,), daemon=True).start()
    tell({"ready": os.getpid()})
    while True:
        tell(_answer(json.loads(asked.get()), tell))


def _listen(asked: queue.SimpleQueue[str]) -> None:
    for line in sys.stdin:
        asked.put(line)
    # A killed run goes on where it was; waiting for the stage's end would hold its directory.
    os._exit(0)


def _answer(request: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
    how: dict[str, Any] = {
        "redo": request["redo"],
        "announce": lambda stage, what: tell({"stage": stage, "what": what}),
        "bar": _Told(tell),
    }
    try:
        config = config_from_record(request["config"], "the cell's configuration")
        world = config_from_record(request["world"], "the world's configuration")
        run_dir = Path(request["run_dir"])
        if "analysis" in request:
            ((name, given),) = request["analysis"].items()
            return {"record": run_measurement(config, world, run_dir, asked(name, given), **how)}
        record, tasks = run_cell(config, world, run_dir, request["method"], **how)
    except (Error, OSError) as error:
        return {"error": str(error) or type(error).__name__}
    except Exception:  # a fault of ours, or of a package: the other cells may do
        return {"error": traceback.format_exc()}
    return {"record": record, "tasks": tasks}


if __name__ == "__main__":
    main()
