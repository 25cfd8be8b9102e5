"""Returns that an adapter cut to [0, 1]: counted while episodes are played, said once.

score_range [0, 1]      sums of rewards -9, -3, 0.5      returns 0, 0, 0.5: 2 of 3 cut
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

from w2stree.errors import CutReturns
from w2stree.trajectories.trajectory import Trajectory


@dataclass(slots=True)
class CutReturnCount:
    """Finished runs, and those of them whose returns were cut; see `Origin.raw_return`."""

    num_runs: int = 0
    num_cut: int = 0
    least: float = 0.0
    greatest: float = 0.0

    def add(self, trajectory: Trajectory) -> None:
        if trajectory.status == "error":
            return
        self.num_runs += 1
        raw = trajectory.origin.raw_return
        if raw is None:
            return
        self.least = min(self.least, raw) if self.num_cut else raw
        self.greatest = max(self.greatest, raw) if self.num_cut else raw
        self.num_cut += 1

    def warn(self) -> None:
        """Warns `CutReturns` if there are any."""
        if self.num_cut:
            warnings.warn(
                f"{self.num_cut} of {self.num_runs} runs have scores beyond the environment's "
                f"score_range ({self.least:g} to {self.greatest:g}), which were cut to it: such "
                "runs cannot be told apart; set environment.score_range to the least and the "
                "greatest score there can be",
                CutReturns,
                stacklevel=4,
            )
