"""Exploration: the plan as data, and the loop that plays what is missing of it.

    tasks × samplings ── plan_episodes ──> plans (task, sample index, sampling, seed)
                                             │ without those the journal has finished
       journal <── fsync ── executor <── tuned model's part, base model's part
          └─> tallies, causes ─> progress    │ errors: the same plan again, next attempt
              outcome                        │ nobody there: the same plan again, no attempt

What is played depends on nothing but the plan: interrupted or not, whatever failed on the way.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, get_args

from w2stree.errors import (
    EpisodesCutShort,
    ExplorationFailure,
    IdenticalTrajectories,
    InvalidInput,
    SamplesUnfinished,
    ServerUnreachable,
    TurnsWithoutAction,
)
from w2stree.policies.protocol import ModelName, Sampling
from w2stree.rollouts.causes import Cause, Causes
from w2stree.rollouts.counted import UNCOUNTED
from w2stree.rollouts.cut_returns import CutReturnCount
from w2stree.rollouts.executor import Executor, Part
from w2stree.rollouts.outcome import Outcome, causes_in_words
from w2stree.rollouts.rollout import EpisodePlan, Unplayed
from w2stree.rollouts.samples import Samples
from w2stree.rollouts.tally import AttemptCounts, TaskTally, num_sampled_tokens, own_steps
from w2stree.shorten import quoted, visible
from w2stree.trajectories.field_types import check_field_types
from w2stree.trajectories.group_commit import GroupCommit
from w2stree.trajectories.journal import Journal
from w2stree.trajectories.times import KeptTimes
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
_TOLD_CAUSES = 20
MAX_ERRORS_IN_A_ROW = 50
"""What fails everything is better stopped than left to use up all attempts."""
MAX_UNPLAYED_IN_A_ROW = 3
"""Of episodes that nobody was there for. They cost nothing, but they are not played either."""


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

    `episodes` and `tokens` (sampled ids, else the server's own count) count every attempt the
    journal holds, of earlier sessions too; `wall_seconds` counts this session. Raises
    `InvalidInput` for a limit that is not above 0.
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
    task, `totals` of all tasks. `episodes_per_s` is of this session, `seconds_left` at that rate.
    """

    trajectory: Trajectory
    tallies: Mapping[str, TaskTally]
    totals: AttemptCounts
    num_planned: int
    num_settled: int
    num_errors: int
    episodes_per_s: float
    seconds_left: float
    causes: Sequence[Cause] = ()
    """Of the errors, the commonest first."""

    def figures(self) -> dict[str, Any]:
        """What is known so far, over all tasks, for programs (docs/watching.md): `success` once a
        run has finished, `cause` and `causes` once there is an error."""
        totals = self.totals
        found: dict[str, Any] = {
            "num_errors": self.num_errors,
            "num_unparsed": totals.num_unparsed,
            "num_tokens": totals.num_tokens,
        }
        if totals.num_finished:
            found["success"] = totals.num_success / totals.num_finished
        if self.causes:
            found["cause"] = self.causes[0].example
            found["causes"] = {cause.example: cause.count for cause in self.causes[:_TOLD_CAUSES]}
        return found


class Exploration:
    """Plays plans into a journal until each sample is finished or out of attempts.

    `executor` plays them, here or on other machines. An error of environment or model is recorded
    with its cause and the plan played again, with the same random stream, up to `max_attempts`
    times in all sessions together. What the journal holds already is counted and not played again.
    An episode that nobody was there for, an environment's process that does not start or a server
    that cannot be reached, is no attempt and leaves no row. When each was played goes to the file
    `times` (`trajectories.times`), as far as the executor tells; nothing depends on it.

    `outcome()` says at any time what failed, why, and what remains.
    """

    def __init__(
        self,
        journal: Journal,
        executor: Executor,
        *,
        budget: Budget | None = None,
        max_attempts: int = 3,
        success_threshold: float = 1.0,
        progress: Callable[[Progress], None] = lambda _: None,
        times: Path | None = None,
    ) -> None:
        if max_attempts < 1:
            raise InvalidInput(f"max_attempts is {max_attempts}; give at least 1")
        self.tallies: dict[str, TaskTally] = {}
        """By task, in the order first recorded."""
        # Told with each episode: a sum over all tasks would take as long as there are tasks.
        self._totals = AttemptCounts()
        self._journal, self._executor = journal, executor
        self._budget = budget or Budget()
        self._samples = Samples(max_attempts)
        self._success_threshold = success_threshold
        self._progress = progress
        self._cut_returns = CutReturnCount()
        self._causes = Causes()
        self._num_episodes = self._num_tokens = self._num_uncounted = 0
        self._without_action: str | None = None  # the first turn that had none
        self._truncated_by: str | None = None  # the first cause but the step limit
        for trajectory in journal.episodes():
            self._count(trajectory)
        self._num_before = self._num_episodes
        self._in_a_row = Causes()
        self._num_unplayed_in_a_row = 0
        self._started = time.monotonic()
        self._times = KeptTimes(times)

    def plan(self, plans: Sequence[EpisodePlan]) -> None:
        """Count these among the samples of `outcome`, before they are played; `play` does.

        Raises `InvalidInput` where two of them are one sample's.
        """
        self._samples.plan(plans)

    def play(self, plans: Sequence[EpisodePlan]) -> bool:
        """Play what is missing of `plans`; False where the budget ended it (`spent` says which).

        Warns `IdenticalTrajectories` of tasks whose runs all took the same actions,
        `TurnsWithoutAction` where more than half of the turns had none, `EpisodesCutShort` of
        episodes that came to the end of what the model can read, `CutReturns` of returns
        that did not fit [0, 1], and `SamplesUnfinished` of samples that ended in errors alone, with
        their causes (`outcome`). Raises
        `JournalError` where the journal cannot be written, `ExplorationFailure` after
        `MAX_ERRORS_IN_A_ROW` or `MAX_UNPLAYED_IN_A_ROW`, and `InvalidInput` where a budget of
        tokens cannot be counted or a sample is planned twice; what was acknowledged stays.
        """
        self._in_a_row, self._num_unplayed_in_a_row = Causes(), 0
        self.plan(plans)
        self._refuse_uncounted()
        while (missing := self._samples.missing(plans)) and self.spent() is None:
            for model in get_args(ModelName):
                part = [plan for plan in missing if plan.sampling.model == model]
                if part and self.spent() is None:
                    count_tokens = self._budget.tokens is not None
                    play = self._executor.part(
                        model, count_tokens=count_tokens, timed=self._times.add
                    )
                    self._play_part(play, part)
        self._warn_of_one_sequence()
        self._warn_of_missing_actions()
        self._warn_of_episodes_cut_short()
        self._cut_returns.warn()
        self._warn_of_unfinished_samples()
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

    def outcome(self) -> Outcome:
        """Where it stands: of what the journal holds, and of the samples planned so far."""
        samples = self._samples
        return Outcome(
            num_attempts=self._num_episodes,
            num_errors=self._causes.total,
            causes=tuple(self._causes.commonest()),
            num_planned=samples.num_planned,
            num_finished=samples.num_finished,
            num_unbegun=sum(tally.num_unbegun for tally in self.tallies.values()),
            failed=tuple(samples.failed()),
            out_of_attempts=tuple(samples.out_of_attempts()),
            num_open=samples.num_open,
            next_max_attempts=samples.most_attempts() + 1,
        )

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._started

    def _play_part(self, play: Part, plans: Sequence[EpisodePlan]) -> None:
        for group in self._groups(plans):
            if self.spent() is not None:
                return
            if self._budget.episodes is not None:
                group = group[: self._budget.episodes - self._num_episodes]
            # Closed on the way out of an interrupt too, before the environments are.
            committer = GroupCommit(self._journal)
            try:
                with committer, closing(play(group)) as episodes:
                    for episode in episodes:
                        if not isinstance(episode, Unplayed):
                            committer.append(episode)
                        # As they end: how soon the disk acknowledges them is the machine's affair.
                        self._refuse_to_fail_on(episode)
                        self._report(committer.acknowledged())
            finally:
                self._report(committer.acknowledged())

    def _groups(self, plans: Sequence[EpisodePlan]) -> Iterator[Sequence[EpisodePlan]]:
        """All at once, or, where tokens or time are limited, as many as play side by side:
        what is handed out is played."""
        is_limited = self._budget.tokens is not None or self._budget.wall_seconds is not None
        size = len(self._executor) if is_limited else len(plans)
        for begin in range(0, len(plans), size):
            yield plans[begin : begin + size]

    def _report(self, trajectories: Sequence[Trajectory]) -> None:
        self._times.keep(trajectories)
        for trajectory in trajectories:
            self._count(trajectory)
            rate = (self._num_episodes - self._num_before) / self._seconds
            self._progress(
                Progress(
                    trajectory=trajectory,
                    tallies=self.tallies,
                    totals=self._totals,
                    num_planned=self._samples.num_planned,
                    num_settled=self._samples.num_planned - self._samples.num_open,
                    num_errors=self._causes.total,
                    episodes_per_s=rate,
                    seconds_left=self._samples.num_open / rate,
                    causes=self._causes.commonest(),
                )
            )

    def _refuse_to_fail_on(self, episode: Trajectory | Unplayed) -> None:
        if isinstance(episode, Unplayed):
            self._refuse_to_wait_for(episode)
            return
        self._num_unplayed_in_a_row = 0
        if episode.status != "error":
            self._in_a_row = Causes()
            return
        self._in_a_row.add(episode)
        num_errors = self._in_a_row.total
        if num_errors >= MAX_ERRORS_IN_A_ROW:
            causes = causes_in_words(self._in_a_row.commonest(), num_errors)
            raise ExplorationFailure(
                "\n".join([f"{num_errors} episodes in a row ended in an error:", *causes])
                + "\nmend it and run the same command again to go on"
            )

    def _refuse_to_wait_for(self, episode: Unplayed) -> None:
        self._num_unplayed_in_a_row += 1
        if self._num_unplayed_in_a_row >= MAX_UNPLAYED_IN_A_ROW:
            is_server = isinstance(episode.cause, ServerUnreachable)
            how = " (start the server; wait, where it asks for it)" if is_server else ""
            raise ExplorationFailure(
                f"{episode.cause}\n{self._num_unplayed_in_a_row} episodes in a row could not be "
                "played for this; they used up no attempt and nothing is recorded of them: "
                f"mend it{how} and run the same command again"
            ) from episode.cause

    def _refuse_uncounted(self) -> None:
        if self._budget.tokens is not None and self._num_uncounted:
            recorded = f"{self._num_uncounted} of {self._num_episodes} recorded episodes"
            raise InvalidInput(UNCOUNTED.format(what=f"{recorded} have turns"))

    def _count(self, trajectory: Trajectory) -> None:
        self._samples.count(trajectory)
        self._num_episodes += 1
        if trajectory.status == "error":
            self._causes.add(trajectory)
        num_tokens = num_sampled_tokens(trajectory)
        self._num_tokens += num_tokens or 0
        self._num_uncounted += num_tokens is None
        tally = self.tallies.setdefault(trajectory.task_id, TaskTally())
        tally.add(trajectory, success_threshold=self._success_threshold)
        self._totals.add(trajectory, success_threshold=self._success_threshold)
        self._truncated_by = self._truncated_by or trajectory.origin.truncated_by
        self._cut_returns.add(trajectory)
        if self._without_action is None:
            said = (step.response for step in own_steps(trajectory) if not step.action)
            self._without_action = next(said, None)

    def _warn_of_one_sequence(self) -> None:
        alike = [
            task
            for task, tally in self.tallies.items()
            if tally.is_one_sequence and not tally.lacks_actions
        ]
        if alike:
            warnings.warn(
                f"all runs of {len(alike)} of {len(self.tallies)} tasks took the same actions "
                f"(first: {visible(alike[0])}): they teach nothing. Usually every sampling is "
                "greedy, the server ignores temperature, an expert plays without noise, or there "
                "is little to choose",
                IdenticalTrajectories,
                stacklevel=3,
            )

    def _warn_of_unfinished_samples(self) -> None:
        outcome = self.outcome()
        if outcome.failed:
            warnings.warn("\n".join(outcome.in_words()), SamplesUnfinished, stacklevel=3)

    def _warn_of_missing_actions(self) -> None:
        num_turns, num_unparsed = self._totals.num_turns, self._totals.num_unparsed
        # Where runs are alike for want of actions, no other warning says why.
        is_all_that_is_alike = any(
            tally.is_one_sequence and tally.lacks_actions for tally in self.tallies.values()
        )
        if 2 * num_unparsed > num_turns or is_all_that_is_alike:
            warnings.warn(
                f"{num_unparsed} of {num_turns} turns had no action (the first one: "
                f"{quoted(self._without_action or '', _SHOWN_COLUMNS)}): an action is a line "
                "'Action: …', and `instruction` can tell the model so",
                TurnsWithoutAction,
                stacklevel=3,
            )

    def _warn_of_episodes_cut_short(self) -> None:
        if num_cut_short := self._totals.num_cut_short:
            warnings.warn(
                f"{num_cut_short} of {self._num_episodes} episodes ended, as truncated, where the "
                f"model could read no further (the first one: {visible(self._truncated_by or '')})",
                EpisodesCutShort,
                stacklevel=3,
            )
