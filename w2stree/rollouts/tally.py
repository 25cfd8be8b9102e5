"""What is known of a task while it is explored: counts that grow by one attempt at a time."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field

from w2stree.trajectories.returns import at_least
from w2stree.trajectories.trajectory import Step, Trajectory


@dataclass(slots=True)
class AttemptCounts:
    """Attempts so far, of one task or of several. Errors are attempts that say nothing about a
    task: they count in `num_errors` and in `num_tokens` and nowhere else.

    `num_truncated` of the finished ones were ended by the step limit, or, `num_cut_short` of
    them, by the length of what the model can read, `num_unbegun` of these before their first turn.
    `num_tokens` counts what was sampled, as far as
    it is known (`num_sampled_tokens`). `num_unparsed` of the finished ones' `num_turns` had no
    action.
    """

    num_finished: int = 0
    num_success: int = 0
    num_truncated: int = 0
    num_cut_short: int = 0
    num_unbegun: int = 0
    num_errors: int = 0
    num_tokens: int = 0
    num_turns: int = 0
    num_unparsed: int = 0
    return_sum: float = 0.0

    def add(self, trajectory: Trajectory, *, success_threshold: float) -> None:
        """Count one attempt."""
        self.num_tokens += num_sampled_tokens(trajectory) or 0
        if trajectory.status == "error":
            self.num_errors += 1
            return
        self.num_finished += 1
        self.num_truncated += trajectory.status == "truncated"
        is_cut_short = trajectory.origin.truncated_by is not None
        self.num_cut_short += is_cut_short
        self.num_unbegun += is_cut_short and not own_steps(trajectory)
        self.num_success += at_least(trajectory.total_return, success_threshold)
        self.return_sum += trajectory.total_return
        self.num_turns += len(own_steps(trajectory))
        self.num_unparsed += num_unparsed(trajectory)


@dataclass(slots=True)
class TaskTally(AttemptCounts):
    """One task's."""

    _sequences: set[bytes] = field(default_factory=set, repr=False)

    def add(self, trajectory: Trajectory, *, success_threshold: float) -> None:
        """Count one attempt, and what it did if it is no error."""
        AttemptCounts.add(self, trajectory, success_threshold=success_threshold)
        if trajectory.status != "error":
            actions = json.dumps([step.action for step in trajectory.steps]).encode("utf-8")
            self._sequences.add(hashlib.blake2b(actions, digest_size=16).digest())

    @property
    def num_distinct(self) -> int:
        """Distinct action sequences among the finished ones."""
        return len(self._sequences)

    @property
    def is_one_sequence(self) -> bool:
        """Several runs that played, and all took the same actions."""
        return self.num_finished >= 2 and len(self._sequences) == 1 and self.num_turns > 0

    @property
    def lacks_actions(self) -> bool:
        """More than half of the turns had none."""
        return 2 * self.num_unparsed > self.num_turns


def own_steps(trajectory: Trajectory) -> tuple[Step, ...]:
    """Without those of a prefix that the episode was started from: they are another's."""
    return trajectory.steps[trajectory.origin.prefix_length :]


def num_sampled_tokens(trajectory: Trajectory) -> int | None:
    """Tokens that this episode sampled: its ids, else as many as its server counted; None where
    neither says it."""
    if trajectory.origin.num_tokens is not None:
        return trajectory.origin.num_tokens
    num_tokens = 0
    for step in own_steps(trajectory):
        if step.token_ids is None:
            return None
        num_tokens += len(step.token_ids)
    return num_tokens


def num_unparsed(trajectory: Trajectory) -> int:
    """Turns of this episode that had no action."""
    return sum(not step.action for step in own_steps(trajectory))
