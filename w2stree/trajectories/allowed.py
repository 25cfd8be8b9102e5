"""What of a file's runs may be read, and what becomes of the rest.

runs ──> more than the limits allow?  ──> refused, or skipped and told
     └─> what is wrong in the file    ──> refused, or skipped and told
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from w2stree.errors import InvalidInput
from w2stree.trajectories.lines import Skip
from w2stree.trajectories.reading_limits import ReadingLimits
from w2stree.trajectories.trajectory import Trajectory

T = TypeVar("T")


@dataclass(slots=True)
class Allowed:
    """Counts the runs of all files; `skip` is given what is left out, None where nothing may be."""

    limits: ReadingLimits
    skip: Skip | None
    num_runs: int = 0

    def of(self, runs: Iterable[tuple[Trajectory, str]]) -> Iterator[tuple[Trajectory, str]]:
        """Those of a file that count; what is wrong with the file itself ends it.

        Raises `InvalidInput` with the place where there are more runs than may be, whatever may be
        skipped; for a run that is too long, and for what is wrong, unless that is skipped.
        """
        for trajectory, where in _or_skipped(runs, self.skip):
            if self.num_runs == self.limits.runs:
                raise InvalidInput(f"{where}: {self.limits.over('runs', 'more than {} runs')}")
            try:
                self.limits.refuse_long(len(trajectory.steps), where)
            except InvalidInput as error:
                if self.skip is None:
                    raise
                self.skip(str(error))
                continue
            self.num_runs += 1
            yield trajectory, where


def _or_skipped(runs: Iterable[T], skip: Skip | None) -> Iterator[T]:
    try:
        yield from runs
    except InvalidInput as error:
        if skip is None:
            raise
        skip(str(error))
