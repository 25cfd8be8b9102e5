"""Runs in numbers, bucket by bucket, and the numbers of all of them.

bucket ──> sums, and how often each value is there ──┐
bucket ──> … ────────────────────────────────────────┴─> RunStatistics, its quartiles exact
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from w2stree.rollouts.causes import Cause, Causes
from w2stree.rollouts.statistics import (
    RunStatistics,
    SamplingOutcome,
    Spread,
    bins_of,
    statistics_of,
)
from w2stree.rollouts.tally import num_sampled_tokens
from w2stree.scale.jobs import Record, counts_of
from w2stree.scale.row_digest import digest_of_json
from w2stree.scale.shard import shard_of
from w2stree.trajectories.returns import ReturnRange, usual_threshold
from w2stree.trajectories.trajectory import Trajectory

_SPREADS = (
    *("returns", "steps_per_run", "characters_per_turn", "characters_per_answer"),
    "tokens_per_run",
)
_SUMMED = (
    *("num_runs", "num_tasks", "num_turns", "num_without_action", "num_without_words"),
    *("num_with_tool_calls", "num_with_token_ids", "num_cut_off"),
)
_BY_NAME = ("num_by_status", "num_truncated_by")


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """`w2stree stats`: a bucket's tally is in its record, and there is no file."""

    success_at: float | None = None
    kind: Literal["statistics"] = "statistics"

    def settings(self) -> Record:
        return asdict(self)

    def make(self, table: Any, folder: Path, span: ReturnRange) -> Record:
        shard = shard_of(table)
        threshold = self.success_at
        if threshold is None:
            threshold = usual_threshold(min(0.0, span[0]), max(0.0, span[1]))
        runs = list(shard.records)
        digest = digest_of_json(run.to_json() for run in runs)
        return {**counts_of(shard), "digest": digest, "tally": tally_of(runs, threshold)}


def tally_of(runs: Sequence[Trajectory], threshold: float | None) -> Record:
    """JSON. `threshold` None: nothing says which returns are a success."""
    found = asdict(statistics_of(runs, success_threshold=threshold))
    causes = Causes()
    for run in runs:
        if run.status == "error":
            causes.add(run)
    played = [run for run in runs if run.status != "error"]
    steps = [step for run in played for step in run.steps]
    tokens = (num_sampled_tokens(run) for run in played if run.steps)
    values: dict[str, Iterable[float]] = {
        "returns": (run.total_return for run in played),
        "steps_per_run": (len(run.steps) for run in played),
        "characters_per_turn": (len(step.response) for step in steps),
        "characters_per_answer": (len(step.observation) for step in steps),
        "tokens_per_run": (count for count in tokens if count is not None),
    }
    return {
        **{name: found[name] for name in (*_SUMMED, *_BY_NAME)},
        "num_success": None if threshold is None else found["num_success"],
        "samplings": [
            {**one, **({"num_success": None} if threshold is None else {})}
            for one in found["samplings"]
        ],
        "causes": {kind: asdict(cause) for kind, cause in causes.by_kind.items()},
        "values": {name: sorted(Counter(of).items()) for name, of in values.items()},
    }


def statistics_of_all(tallies: Sequence[Record]) -> RunStatistics:
    """`statistics_of` the runs of all buckets. Samplings come with the most runs first; means are
    of exact sums, and may differ from those of one process in their last digit."""
    causes = Causes()
    for tally in tallies:
        causes.add_all({kind: Cause(**cause) for kind, cause in tally["causes"].items()})
    values = {name: _added(tally["values"][name] for tally in tallies) for name in _SPREADS}
    returns = values["returns"]
    found: dict[str, Any] = {
        **{name: sum(tally[name] for tally in tallies) for name in _SUMMED},
        **{name: dict(_added(tally[name].items() for tally in tallies)) for name in _BY_NAME},
        **{name: _spread(of) for name, of in values.items()},
    }
    return RunStatistics(
        **found,
        num_success=_sum([tally["num_success"] for tally in tallies]),
        return_bins=tuple(bins_of(np.array([*returns], np.float64), np.array([*returns.values()]))),
        samplings=tuple(_samplings(one for tally in tallies for one in tally["samplings"])),
        causes=tuple(causes.commonest()),
    )


def _added(counts: Iterable[Iterable[Any]]) -> Counter[Any]:
    found: Counter[Any] = Counter()
    for of_one in counts:
        found.update(dict(of_one))
    return found


def _sum(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _spread(counts: Mapping[float, int]) -> Spread | None:
    """`Spread.of` the values, each as often as it is there."""
    if not counts:
        return None
    values = sorted(counts)
    ends = np.cumsum([counts[value] for value in values])
    total = math.fsum(value * counts[value] for value in values)
    num = int(ends[-1])

    def quantile(share: float) -> float:
        below, part = divmod(share * (num - 1), 1)
        at = [values[np.searchsorted(ends, below + i, side="right")] for i in (0, part > 0)]
        return float(np.quantile(np.array(at, np.float64), part))

    least, most = float(values[0]), float(values[-1])
    return Spread(least, quantile(0.25), quantile(0.5), quantile(0.75), most, total / num, total)


def _samplings(found: Iterable[Record]) -> Iterable[SamplingOutcome]:
    groups: dict[tuple[Any, ...], list[Record]] = {}
    for one in found:
        key = tuple(one[name] for name in ("policy", "model", "temperature", "top_p"))
        groups.setdefault(key, []).append(one)
    made = []
    for (policy, model, temperature, top_p), group in groups.items():
        num_runs = sum(one["num_runs"] for one in group)
        sums = [o["mean_return"] * o["num_runs"] for o in group if o["mean_return"] is not None]
        made.append(
            SamplingOutcome(
                policy,
                model,
                temperature,
                top_p,
                num_runs=num_runs,
                num_errors=sum(one["num_errors"] for one in group),
                num_success=_sum([one["num_success"] for one in group]),
                mean_return=math.fsum(sums) / num_runs if num_runs else None,
            )
        )
    return sorted(made, key=lambda one: (-one.num_runs, repr(one)))
