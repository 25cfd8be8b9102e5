"""Exploration: the plan as data, and the loop that plays what is missing of it.

    tasks × samplings ── plan_episodes ──> plans (task, sample index, sampling, seed)
                                             │ without those the journal has finished
       journal <── fsync ── rollout <── tuned model's part, base model's part
          └─> tallies ─> progress            │ errors: the same plan again, next attempt

What is played depends on nothing but the plan: interrupted or not, whatever failed on the way.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import ClassVar, cast, get_args

from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.errors import (
    EpisodesCutShort,
    ExplorationFailure,
    IdenticalTrajectories,
    InvalidInput,
    TurnsWithoutAction,
)
from w2stree.policies.protocol import AsyncPolicy, ModelName, Policy, Sampling
from w2stree.rollouts.cut_returns import CutReturnCount
from w2stree.rollouts.rollout import EpisodePlan, rollout
from w2stree.rollouts.tally import TaskTally, num_sampled_tokens, own_steps
from w2stree.shorten import quoted, visible
from w2stree.trajectories.field_types import check_field_types
from w2stree.trajectories.group_commit import GroupCommit
from w2stree.trajectories.journal import Journal, key_of
from w2stree.trajectories.trajectory import Trajectory

PAPER_SAMPLINGS = (
    Sampling(0.7, 0.9),
    Sampling(0.0),
    Sampling(1.0, 0.8),
    Sampling(1.0, 0.8),
    Sampling(1.0, 0.9),
    Sampling(0.7, 0.9, model="base"),
)
"""The authors' six configurations (arXiv 2507.18858, their code); the last is the model before
its fine-tuning."""

_SHOWN_COLUMNS = 100
MAX_ERRORS_IN_A_ROW = 50
"""A server that is gone for good fails everything: better to stop than to use up all attempts."""


def plan_episodes(
    task_ids: Iterable[str], samplings: Sequence[Sampling], *, seed: int
) -> list[EpisodePlan]:
    """One plan for each task and sampling configuration, tasks first; samples are numbered by
    their configuration."""
    return [
        EpisodePlan(task_id, index, sampling, seed)
        for task_id in task_ids
        for index, sampling in enumerate(samplings)
    ]


@dataclass(frozen=True, slots=True)
class Budget:
    """When to stop starting episodes; None is no limit.

    `episodes` and `tokens` (sampled ids) count every attempt the journal holds, of earlier
    sessions too; `wall_seconds` counts this session. Raises `InvalidInput` for a limit that is
    not above 0.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    episodes: int | None = None
    tokens: int | None = None
    wall_seconds: float | None = None

    def __post_init__(self) -> None:
        check_field_types(self)
        for name in ("episodes", "tokens", "wall_seconds"):
            limit = getattr(self, name)
            if limit is not None and not limit > 0:
                raise InvalidInput(f"{name} is {limit}; give a number above 0, or null: no limit")


@dataclass(frozen=True, slots=True)
class Progress:
    """Where an exploration stands after `trajectory` was acknowledged.

    `num_settled` of `num_planned` samples are finished or out of attempts; `tallies` are by
    task. `episodes_per_s` is of this session, `seconds_left` at that rate.
    """

    trajectory: Trajectory
    tallies: Mapping[str, TaskTally]
    num_planned: int
    num_settled: int
    num_errors: int
    episodes_per_s: float
    seconds_left: float


class Exploration:
    """Plays plans into a journal until each sample is finished or out of attempts.

    `policy` gives the policy of a model when that model's part begins. An error of environment
    or model is recorded with its cause and the plan played again, with the same random stream,
    up to `max_attempts` times in all sessions together. What the journal holds already is
    counted and not played again.
    """

    def __init__(
        self,
        journal: Journal,
        pool: EnvironmentPool,
        policy: Callable[[ModelName], Policy | AsyncPolicy],
        *,
        instruction: str = "",
        budget: Budget | None = None,
        max_attempts: int = 3,
        success_threshold: float = 1.0,
        progress: Callable[[Progress], None] = lambda _: None,
    ) -> None:
        if max_attempts < 1:
            raise InvalidInput(f"max_attempts is {max_attempts}; give at least 1")
        self.tallies: dict[str, TaskTally] = {}
        """By task, in the order first recorded."""
        self._journal, self._pool, self._policy = journal, pool, policy
        self._instruction = instruction
        self._budget = budget or Budget()
        self._max_attempts = max_attempts
        self._success_threshold = success_threshold
        self._progress = progress
        self._cut_returns = CutReturnCount()
        self._num_attempts: dict[tuple[str, int], int] = {}
        self._finished: set[tuple[str, int]] = set()
        self._planned: set[tuple[str, int]] = set()
        self._open: set[tuple[str, int]] = set()  # planned and not settled
        self._num_episodes = self._num_errors = self._num_tokens = 0
        self._without_action: str | None = None  # the first turn that had none
        self._truncated_by: str | None = None  # the first cause but the step limit
        for trajectory in journal.episodes():
            self._count(trajectory)
        self._num_before = self._num_episodes
        self._num_errors_in_a_row = 0
        self._started = time.monotonic()

    def play(self, plans: Sequence[EpisodePlan]) -> bool:
        """Play what is missing of `plans`; False where the budget ended it (`spent` says which).

        Warns `IdenticalTrajectories` of tasks whose runs all took the same actions,
        `TurnsWithoutAction` where more than half of the turns had none, `EpisodesCutShort` of
        episodes that came to the end of what the model can read, and `CutReturns` of returns
        that did not fit [0, 1]. Raises
        `JournalError` where the journal cannot be written and `ExplorationFailure` after
        `MAX_ERRORS_IN_A_ROW`; what was acknowledged stays.
        """
        self._num_errors_in_a_row = 0
        samples = {(plan.task_id, plan.sample_index) for plan in plans}
        self._planned |= samples
        self._open |= {sample for sample in samples if not self._is_settled(sample)}
        while (missing := self._missing(plans)) and self.spent() is None:
            for model in get_args(ModelName):
                part = [plan for plan in missing if plan.sampling.model == model]
                if part and self.spent() is None:
                    self._play_part(self._policy(model), part)
        self._warn_of_one_sequence()
        self._warn_of_missing_actions()
        self._warn_of_episodes_cut_short()
        self._cut_returns.warn()
        return not missing

    def spent(self) -> str | None:
        """Which budget is used up, in words; None while there is some left."""
        budget = self._budget
        if budget.episodes is not None and self._num_episodes >= budget.episodes:
            return f"the budget of {budget.episodes:,} episodes is spent"
        if budget.tokens is not None and self._num_tokens >= budget.tokens:
            return f"the budget of {budget.tokens:,} tokens is spent ({self._num_tokens:,} sampled)"
        if budget.wall_seconds is not None and self._seconds >= budget.wall_seconds:
            return f"this session's {budget.wall_seconds:g} seconds are over"
        return None

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._started

    def _missing(self, plans: Sequence[EpisodePlan]) -> list[EpisodePlan]:
        """Plans of samples not settled yet, each with its next attempt's number."""
        return [
            replace(plan, attempt=self._num_attempts.get((plan.task_id, plan.sample_index), 0))
            for plan in plans
            if not self._is_settled((plan.task_id, plan.sample_index))
        ]

    def _is_settled(self, sample: tuple[str, int]) -> bool:
        is_given_up = self._num_attempts.get(sample, 0) >= self._max_attempts
        return sample in self._finished or is_given_up

    def _play_part(self, policy: Policy | AsyncPolicy, plans: Sequence[EpisodePlan]) -> None:
        for group in self._groups(plans):
            if self.spent() is not None:
                return
            if self._budget.episodes is not None:
                group = group[: self._budget.episodes - self._num_episodes]
            # Closed on the way out of an interrupt too, before the environments are.
            played = rollout(self._pool, policy, group, instruction=self._instruction)
            with (
                GroupCommit(self._journal) as committer,
                closing(cast(Generator[Trajectory, None, None], played)) as episodes,
            ):
                for trajectory in episodes:
                    committer.append(trajectory)
                    # As they end: how soon the disk acknowledges them is the machine's affair.
                    self._refuse_to_fail_on(trajectory)
                    self._report(committer.acknowledged())
            self._report(committer.acknowledged())

    def _groups(self, plans: Sequence[EpisodePlan]) -> Iterator[Sequence[EpisodePlan]]:
        """All at once, or, where tokens or time are limited, as many as play side by side:
        what is handed out is played."""
        is_limited = self._budget.tokens is not None or self._budget.wall_seconds is not None
        size = len(self._pool) if is_limited else len(plans)
        for begin in range(0, len(plans), size):
            yield plans[begin : begin + size]

    def _report(self, trajectories: Iterable[Trajectory]) -> None:
        for trajectory in trajectories:
            self._count(trajectory)
            rate = (self._num_episodes - self._num_before) / self._seconds
            self._progress(
                Progress(
                    trajectory=trajectory,
                    tallies=self.tallies,
                    num_planned=len(self._planned),
                    num_settled=len(self._planned) - len(self._open),
                    num_errors=self._num_errors,
                    episodes_per_s=rate,
                    seconds_left=len(self._open) / rate,
                )
            )

    def _refuse_to_fail_on(self, trajectory: Trajectory) -> None:
        is_error = trajectory.status == "error"
        self._num_errors_in_a_row = self._num_errors_in_a_row + 1 if is_error else 0
        if self._num_errors_in_a_row >= MAX_ERRORS_IN_A_ROW:
            raise ExplorationFailure(
                f"{self._num_errors_in_a_row} episodes in a row ended in an error, the last one: "
                f"{trajectory.origin.error}; mend it and run the same command again to go on"
            )

    def _count(self, trajectory: Trajectory) -> None:
        sample = key_of(trajectory)[:2]
        self._num_attempts[sample] = self._num_attempts.get(sample, 0) + 1
        if trajectory.status != "error":
            self._finished.add(sample)
        if self._is_settled(sample):
            self._open.discard(sample)
        self._num_episodes += 1
        self._num_errors += trajectory.status == "error"
        self._num_tokens += num_sampled_tokens(trajectory)
        tally = self.tallies.setdefault(trajectory.task_id, TaskTally())
        tally.add(trajectory, success_threshold=self._success_threshold)
        self._truncated_by = self._truncated_by or trajectory.origin.truncated_by
        self._cut_returns.add(trajectory)
        if self._without_action is None:
            said = (step.response for step in own_steps(trajectory) if not step.action)
            self._without_action = next(said, None)

    def _warn_of_one_sequence(self) -> None:
        alike = [
            task
            for task, tally in self.tallies.items()
            if tally.is_one_sequence and not tally.has_no_action
        ]
        if alike:
            warnings.warn(
                f"all runs of {len(alike)} of {len(self.tallies)} tasks took the same actions "
                f"(first: {visible(alike[0])}): they teach nothing; is every sampling greedy, or "
                "ignored by the server?",
                IdenticalTrajectories,
                stacklevel=3,
            )

    def _warn_of_missing_actions(self) -> None:
        num_turns = sum(tally.num_turns for tally in self.tallies.values())
        num_unparsed = sum(tally.num_unparsed for tally in self.tallies.values())
        if 2 * num_unparsed > num_turns:
            warnings.warn(
                f"{num_unparsed} of {num_turns} turns had no action (the first one: "
                f"{quoted(self._without_action or '', _SHOWN_COLUMNS)}): an action is a line "
                "'Action: …', and `instruction` can tell the model so",
                TurnsWithoutAction,
                stacklevel=3,
            )

    def _warn_of_episodes_cut_short(self) -> None:
        num_cut_short = sum(tally.num_cut_short for tally in self.tallies.values())
        if num_cut_short:
            warnings.warn(
                f"{num_cut_short} of {self._num_episodes} episodes ended, as truncated, where the "
                f"model could read no further (the first one: {visible(self._truncated_by or '')})",
                EpisodesCutShort,
                stacklevel=3,
            )
