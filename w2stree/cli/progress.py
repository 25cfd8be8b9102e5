"""A line that says how far an exploration is: rewritten on a terminal, seldom in a log."""

from __future__ import annotations

import sys
import time
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from w2stree.rollouts.exploration import Progress

_TERMINAL_S = 0.2
_LOG_S = 10.0


class ProgressLine:
    """Shows `Progress` on standard error, at most every 0.2 s on a terminal, else every 10 s:

    84/96 episodes  success 0.31  1 errors  12.4/s  0:00:01 left  twc/train/6: 2/5
    """

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._next = time.monotonic()

    def show(self, progress: Progress) -> None:
        """Say where the run stands; the task named is that of the last episode."""
        is_last = progress.num_settled == progress.num_planned
        if not is_last and time.monotonic() < self._next:
            return
        self._next = time.monotonic() + (_TERMINAL_S if self._is_terminal else _LOG_S)
        start, end = ("\r\x1b[K", "") if self._is_terminal else ("", "\n")
        print(f"{start}{describe(progress)}", end=end, file=sys.stderr, flush=True)

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(self, *error: object) -> None:
        if self._is_terminal:
            print(file=sys.stderr)


def describe(progress: Progress) -> str:
    """One line; success is over all tasks so far, and of the last episode's task."""
    tallies = progress.tallies.values()
    num_finished = max(1, sum(tally.num_finished for tally in tallies))
    success = sum(tally.num_success for tally in tallies) / num_finished
    task_id = progress.trajectory.task_id
    tally = progress.tallies[task_id]
    return "  ".join(
        [
            f"{progress.num_settled}/{progress.num_planned} episodes",
            f"success {success:.2f}",
            f"{progress.num_errors} errors",
            f"{progress.episodes_per_s:.1f}/s",
            f"{timedelta(seconds=round(progress.seconds_left))} left",
            f"{task_id}: {tally.num_success}/{tally.num_finished}",
        ]
    )
