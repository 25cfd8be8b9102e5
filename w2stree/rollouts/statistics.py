"""Runs in numbers, whoever played them: how they ended, how long they are, who played and how.

status      done 1,700   truncated 302   error 12, by cause
returns     0 ######## 952   1 ######### 1,050
lengths     steps a run, characters a turn and an answer, tokens a run: least, quartiles, most
samplings   policy, model, temperature, top_p: runs, successes, mean return
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from w2stree.rollouts.causes import Cause, Causes
from w2stree.rollouts.tally import num_sampled_tokens
from w2stree.trajectories.returns import at_least, usual_threshold
from w2stree.trajectories.trajectory import Step, Trajectory

_BINS = 10


@dataclass(frozen=True, slots=True)
class Spread:
    """Of some numbers, at least one: least, quartiles (interpolated), greatest, mean, sum."""

    least: float
    quarter: float
    median: float
    three_quarters: float
    most: float
    mean: float
    total: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread | None:
        """None where there are no numbers."""
        array = np.fromiter(values, np.float64)
        if not array.size:
            return None
        least, quarter, median, three_quarters, most = np.quantile(
            array, (0, 0.25, 0.5, 0.75, 1)
        ).tolist()
        mean, total = float(array.mean()), float(array.sum())
        return cls(least, quarter, median, three_quarters, most, mean, total)


@dataclass(frozen=True, slots=True)
class Bin:
    """So many returns from `low` to `high`: one value, or up to `high` and not it, but for the
    last."""

    low: float
    high: float
    count: int


@dataclass(frozen=True, slots=True)
class SamplingOutcome:
    """The runs that were sampled alike, as far as their origins say; errors count nowhere else."""

    policy: str | None
    model: str | None
    temperature: float | None
    top_p: float | None
    num_runs: int
    num_errors: int
    num_success: int | None
    mean_return: float | None


@dataclass(frozen=True, slots=True)
class RunStatistics:
    """Runs in numbers. Error rows count in `num_by_status` and the samplings, and are told by
    cause; all else is of the others, and their prefixes count with them. `num_success` is None
    where nothing says which returns are a success."""

    num_runs: int
    num_tasks: int
    num_by_status: dict[str, int]
    num_truncated_by: dict[str, int]
    """Of the truncated ones that were not ended by their step limit, by what ended them."""
    num_success: int | None
    returns: Spread | None
    return_bins: tuple[Bin, ...]
    """A bin a value, up to ten values; else ten bins of equal width."""
    steps_per_run: Spread | None
    characters_per_turn: Spread | None
    """Of what the agent says at once."""
    characters_per_answer: Spread | None
    tokens_per_run: Spread | None
    """Sampled; of the runs that say it."""
    num_turns: int
    num_without_action: int
    num_without_words: int
    """Turns with an action and nothing that it came of: a model cannot be trained on them."""
    num_with_tool_calls: int
    num_with_token_ids: int
    num_cut_off: int
    """Turns that hit a limit on their length."""
    samplings: tuple[SamplingOutcome, ...]
    causes: tuple[Cause, ...]
    """Of the error rows, the commonest first."""


def statistics_of(
    trajectories: Sequence[Trajectory], *, success_threshold: float | None = None
) -> RunStatistics:
    """A run is a success from a return of `success_threshold` on: 1 if it is not given and all
    returns lie in [0, 1], and not known otherwise. O(steps)."""
    played = [t for t in trajectories if t.status != "error"]
    causes = Causes()
    for trajectory in trajectories:
        if trajectory.status == "error":
            causes.add(trajectory)
    returns = np.array([t.total_return for t in played], np.float64)
    threshold = success_threshold
    if threshold is None:
        threshold = usual_threshold(returns.min(initial=0.0), returns.max(initial=0.0))
    steps = [step for trajectory in played for step in trajectory.steps]
    return RunStatistics(
        num_runs=len(trajectories),
        num_tasks=len({t.task_id for t in trajectories}),
        num_by_status=dict(Counter(t.status for t in trajectories)),
        num_truncated_by=dict(
            Counter(t.origin.truncated_by for t in played if t.origin.truncated_by is not None)
        ),
        num_success=_successes(played, threshold),
        returns=Spread.of(returns),
        return_bins=tuple(bins_of(returns)),
        steps_per_run=Spread.of(len(t.steps) for t in played),
        characters_per_turn=Spread.of(len(step.response) for step in steps),
        characters_per_answer=Spread.of(len(step.observation) for step in steps),
        tokens_per_run=Spread.of(_known_tokens(played)),
        **_counts(steps),
        samplings=tuple(_samplings(trajectories, threshold)),
        causes=tuple(causes.commonest()),
    )


def _successes(trajectories: Iterable[Trajectory], threshold: float | None) -> int | None:
    if threshold is None:
        return None
    return sum(at_least(trajectory.total_return, threshold) for trajectory in trajectories)


def bins_of(
    returns: NDArray[np.float64], weights: NDArray[np.int64] | None = None
) -> Iterable[Bin]:
    """Of returns, each counted once or as often as its weight says."""
    values, counts = np.unique(returns, return_counts=True)
    if weights is not None:
        counts = np.bincount(np.searchsorted(values, returns), weights).astype(np.int64)
    if len(values) <= _BINS:
        return [Bin(v, v, n) for v, n in zip(values.tolist(), counts.tolist(), strict=True)]
    binned, edges = np.histogram(returns, _BINS, weights=weights)
    counts = binned.astype(np.int64)
    ends = edges.tolist()
    return [Bin(*bin_) for bin_ in zip(ends[:-1], ends[1:], counts.tolist(), strict=True)]


def _known_tokens(trajectories: Iterable[Trajectory]) -> Iterable[int]:
    counts = (num_sampled_tokens(trajectory) for trajectory in trajectories if trajectory.steps)
    return (count for count in counts if count is not None)


def _counts(steps: Sequence[Step]) -> dict[str, int]:
    return {
        "num_turns": len(steps),
        "num_without_action": sum(not step.action for step in steps),
        "num_without_words": sum(not step.is_worded for step in steps),
        "num_with_tool_calls": sum(bool(step.tool_calls) for step in steps),
        "num_with_token_ids": sum(step.token_ids is not None for step in steps),
        "num_cut_off": sum(step.is_cut for step in steps),
    }


def _samplings(
    trajectories: Iterable[Trajectory], threshold: float | None
) -> Iterable[SamplingOutcome]:
    """In order of first appearance."""
    groups: dict[tuple[str | None, str | None, float | None, float | None], list[Trajectory]] = {}
    for trajectory in trajectories:
        origin = trajectory.origin
        key = (origin.policy, origin.model, origin.temperature, origin.top_p)
        groups.setdefault(key, []).append(trajectory)
    for key, group in groups.items():
        played = [t for t in group if t.status != "error"]
        yield SamplingOutcome(
            *key,
            num_runs=len(played),
            num_errors=len(group) - len(played),
            num_success=_successes(played, threshold),
            mean_return=sum(t.total_return for t in played) / len(played) if played else None,
        )
