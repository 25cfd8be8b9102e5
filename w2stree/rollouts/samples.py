"""Which samples of an exploration are finished, and which are to be played.

planned ─┬─ finished          an attempt ended without an error
         ├─ out of attempts   max_attempts errors and nothing else
         └─ open              not tried yet, or tried in vain and to be tried again
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from w2stree.errors import InvalidInput
from w2stree.rollouts.episode import EpisodePlan
from w2stree.shorten import quoted
from w2stree.trajectories.journal import key_of
from w2stree.trajectories.trajectory import Trajectory

Sample = tuple[str, int]
"""A task and the number of one of its samples."""


class Samples:
    """Counts attempts, of which a sample has `max_attempts`."""

    def __init__(self, max_attempts: int) -> None:
        self._max_attempts = max_attempts
        self._num_attempts: dict[Sample, int] = {}
        self._finished: set[Sample] = set()
        self._planned: dict[Sample, None] = {}  # in their order
        self._open: set[Sample] = set()

    def plan(self, plans: Iterable[EpisodePlan]) -> None:
        """These are to be played. Raises `InvalidInput` where two are of one sample."""
        samples: dict[Sample, None] = {}
        for plan in plans:
            sample = plan.task_id, plan.sample_index
            if sample in samples:
                raise InvalidInput(
                    f"two plans are of sample {sample[1]} of task {quoted(sample[0], 200)}: name "
                    "each task once, and number its samples"
                )
            samples[sample] = None
        self._planned |= samples
        self._open |= {sample for sample in samples if not self._is_settled(sample)}

    def count(self, trajectory: Trajectory) -> None:
        """An attempt was recorded."""
        sample = key_of(trajectory)[:2]
        self._num_attempts[sample] = self._num_attempts.get(sample, 0) + 1
        if trajectory.status != "error":
            self._finished.add(sample)
        if self._is_settled(sample):
            self._open.discard(sample)

    def missing(self, plans: Sequence[EpisodePlan]) -> list[EpisodePlan]:
        """Plans of open samples, each with its next attempt's number."""
        return [
            replace(plan, attempt=self._num_attempts.get((plan.task_id, plan.sample_index), 0))
            for plan in plans
            if not self._is_settled((plan.task_id, plan.sample_index))
        ]

    @property
    def num_planned(self) -> int:
        return len(self._planned)

    @property
    def num_open(self) -> int:
        return len(self._open)

    @property
    def num_finished(self) -> int:
        """Of the planned ones."""
        return len(self._finished & self._planned.keys())

    def failed(self) -> list[Sample]:
        """Planned ones that were tried and never finished, in the plan's order."""
        return [
            sample
            for sample in self._planned
            if sample in self._num_attempts and sample not in self._finished
        ]

    def out_of_attempts(self) -> list[Sample]:
        """Those of them that are not tried again."""
        return [sample for sample in self.failed() if self._is_settled(sample)]

    def most_attempts(self) -> int:
        """The largest number of attempts that a planned sample has had in vain."""
        return max((self._num_attempts[sample] for sample in self.failed()), default=0)

    def _is_settled(self, sample: Sample) -> bool:
        is_given_up = self._num_attempts.get(sample, 0) >= self._max_attempts
        return sample in self._finished or is_given_up
