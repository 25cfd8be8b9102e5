"""`w2stree stats`: runs in numbers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from w2stree.cli.engine import (
    Buckets,
    EngineName,
    Folder,
    account_of,
    refuse_without_engine,
    run_on_engine,
    told_account,
)
from w2stree.cli.extra import needs
from w2stree.cli.forests import SuccessAt
from w2stree.cli.inputs import AsJson, Source, takes_runs, warn_how_read
from w2stree.cli.left_out import ERRED, nothing_played
from w2stree.cli.progress import print_table
from w2stree.cli.say import say
from w2stree.errors import InvalidInput
from w2stree.percent import percent

if TYPE_CHECKING:
    from w2stree.rollouts.statistics import Bin, RunStatistics, SamplingOutcome

_BAR = 40  # columns of the longest


@takes_runs
def stats(
    source: Source,
    success_at: SuccessAt = None,
    engine: EngineName = None,
    output: Folder = None,
    buckets: Buckets = None,
    as_json: AsJson = False,
) -> int:
    """Sum up runs: endings, returns, lengths, samplings, errors.

    Error rows are told by their cause, and count nowhere else. Characters are those of the
    agent's turns and of the answers; tokens are known where runs have ids or counts of them.
    """
    from w2stree.rollouts.statistics import statistics_of

    if engine is not None:
        return _on_engine(engine, source, output, buckets, success_at, as_json)
    refuse_without_engine({"--output": output, "--buckets": buckets})
    runs = source.read()
    warn_how_read(runs)
    if not runs.trajectories:
        raise InvalidInput(f"{runs.where}: {nothing_played(runs.trajectories, runs.found)}")
    found = statistics_of(runs.trajectories, success_threshold=success_at)
    errors = {ERRED: found.num_by_status.get("error", 0)}
    if as_json:
        say(json.dumps({**asdict(found), **runs.counts(errors)}, indent=2))
        return 0
    _say_all(found)
    say(runs.account(errors))
    return 0


def _on_engine(
    engine: str,
    source: Source,
    output: Path | None,
    buckets: int | None,
    success_at: float | None,
    as_json: bool,
) -> int:
    with needs("arrow"):
        from w2stree.scale.tally import Statistics, statistics_of_all
    job = Statistics(success_at=success_at)
    finished = run_on_engine(engine, job, source, output, buckets, {})
    found = statistics_of_all([record["tally"] for record in finished.records])
    account = account_of(finished.manifest.counts)
    if as_json:
        say(json.dumps({**asdict(found), **account}, indent=2))
        return 0
    _say_all(found)
    say(told_account(account))
    return 0


def _say_all(found: RunStatistics) -> None:
    _say_endings(found)
    if found.return_bins:
        say("\nreturns")
        _say_bars(found.return_bins)
    if found.num_turns:
        say("")
        _say_lengths(found)
        say("")
        _say_turns(found)
    say("")
    _say_samplings(found.samplings)
    if found.causes:
        say("\nerrors")
        for cause in found.causes:
            say(f"{cause.count:>7,}  {cause.example}".replace("\n", "\n         "))
    say("")


def _say_endings(found: RunStatistics) -> None:
    from w2stree.forest.summary import two_columns

    rows = [("runs", f"{found.num_runs:,}"), ("tasks", f"{found.num_tasks:,}")]
    for status, count in sorted(found.num_by_status.items()):
        rows.append((status, f"{count:,}"))
        if status == "truncated":
            rows += [(f"  by {by}", f"{n:,}") for by, n in found.num_truncated_by.items()]
    if found.num_success is not None and found.returns:
        share = found.num_success / max(1, found.num_runs - found.num_by_status.get("error", 0))
        rows.append(("successes", f"{found.num_success:,} ({percent(share)})"))
    say(two_columns(rows))


def _say_bars(bins: Sequence[Bin]) -> None:
    """0  ############ 952"""
    most = max(bin_.count for bin_ in bins)
    names = [f"{b.low:g}" if b.low == b.high else f"{b.low:g} to {b.high:g}" for b in bins]
    width = max(map(len, names))
    for name, bin_ in zip(names, bins, strict=True):
        bar = "#" * -(-bin_.count * _BAR // most)  # of one run, at least one
        say(f"{name:>{width}}  {bar}{' ' * bool(bar)}{bin_.count:,}")


def _say_lengths(found: RunStatistics) -> None:
    spreads = {
        "return": found.returns,
        "steps a run": found.steps_per_run,
        "characters a turn": found.characters_per_turn,
        "characters an answer": found.characters_per_answer,
        "tokens a run": found.tokens_per_run,
    }
    rows = [
        (
            name,
            *(f"{value:g}" for value in (s.least, s.quarter, s.median, s.three_quarters, s.most)),
            f"{s.mean:.4g}",
            f"{s.total:,.10g}",
        )
        for name, s in spreads.items()
        if s is not None
    ]
    if rows:
        print_table(("", "least", "25%", "median", "75%", "most", "mean", "sum"), rows)


def _say_turns(found: RunStatistics) -> None:
    rows = {
        "all": found.num_turns,
        "without an action": found.num_without_action,
        "without the agent's words": found.num_without_words,
        "with tool calls": found.num_with_tool_calls,
        "with token ids": found.num_with_token_ids,
        "cut off at their limit": found.num_cut_off,
    }
    print_table(
        ("turns", ""), [(n, f"{count:,}") for n, count in rows.items() if count or n == "all"]
    )


def _say_samplings(samplings: Sequence[SamplingOutcome]) -> None:
    print_table(
        ("runs", "errors", "success", "return", "temperature", "top_p", "model", "policy"),
        [
            (
                f"{s.num_runs:,}",
                f"{s.num_errors:,}",
                "-" if s.num_success is None or not s.num_runs else f"{s.num_success:,}",
                "-" if s.mean_return is None else f"{s.mean_return:.2f}",
                _known(s.temperature),
                _known(s.top_p),
                _known(s.model),
                _known(s.policy),
            )
            for s in samplings
        ],
        names=(6, 7),
    )


def _known(value: object) -> str:
    return "-" if value is None else f"{value}"
