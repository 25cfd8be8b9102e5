"""Running the cells that have no result yet, then the analyses, several side by side.

    Work: pending cells ──> a Runner ──> processes that run them, here or on other machines
      ^                                        │ what happens, and what came of it
      └────────────── results ─────────────────┘

Whatever ends this process ends the workers, and another call goes on: finished stages are in the
run directories, finished cells have results.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from w2stree.errors import RunDirectoryError
from w2stree.experiment.grid.cells import Unit
from w2stree.experiment.grid.local_runner import LocalRunner
from w2stree.experiment.grid.plan import Plan
from w2stree.experiment.grid.results import Results
from w2stree.experiment.grid.work import Announce, Progress, Runner, Work
from w2stree.experiment.run_lock import holding
from w2stree.shorten import visible
from w2stree.trajectories.lock import refuse_without


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a call came to, by cells and analyses."""

    finished: Sequence[Unit]
    failed: Sequence[Unit]
    left: Sequence[Unit]
    """Not begun: the budget was spent."""


def run_cells(
    plan: Plan,
    units: Sequence[Unit],
    *,
    runs: Path,
    results: Results,
    runner: Runner | None = None,
    budget_s: float | None = None,
    redo: bool = False,
    announce: Announce,
    progress: Progress = lambda done, total, seconds_left: None,
) -> Outcome:
    """Run those of the cells, and measure those of the analyses, that have no result of today's
    configuration, in their order.

    `runs` is the folder of the run directories, which share stages; one call at a time holds it.
    `runner`: who runs them; None: two processes of this machine. With `budget_s` no cell is begun
    that would not end in so many seconds, as far as cells before it tell how long it takes. `redo`:
    as `run_experiment` has it. `announce` is told of cells, `progress` how many of all are done and
    how long the others may take.

    An error is that cell's alone (`Outcome.failed`); another call tries it again. Raises
    `RunDirectoryError` where another process runs cells in `runs`, and what the runner raises.
    """
    refuse_a_run(runs)
    refuse_without(f"{visible(str(runs))}: a run")
    runs.mkdir(parents=True, exist_ok=True)
    with holding(runs, option="--runs"):
        work = Work(plan, runs, results, runner or LocalRunner(), announce, progress, redo)
        work.add(units)
        if budget_s is not None:
            work.deadline = time.monotonic() + budget_s
        work.tell()
        work.runner.run(work)
    return Outcome(work.finished, work.failed, work.pending)


def refuse_a_run(runs: Path) -> None:
    """`RunDirectoryError` where the folder for run directories is one itself."""
    if (runs / "config.json").is_file():
        raise RunDirectoryError(
            f"--runs {visible(str(runs))}: is a run directory; give the folder that runs lie in"
        )
