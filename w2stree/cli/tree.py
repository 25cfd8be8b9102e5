"""`w2stree tree`: runs as a forest, summed up, or one task's tree."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from w2stree.cli.choice import chosen_task
from w2stree.cli.engine import (
    Buckets,
    EngineName,
    Folder,
    account_of,
    refuse_without_engine,
    run_on_engine,
    told_account,
    told_buckets,
)
from w2stree.cli.extra import needs
from w2stree.cli.forests import (
    Embed,
    Guard,
    MinSimilarity,
    SuccessAt,
    read_forest,
    rule_of,
)
from w2stree.cli.inputs import AsJson, Runs, Source, takes_runs
from w2stree.cli.parameters import Normalize, whole_number
from w2stree.cli.say import say, terminal_width
from w2stree.errors import InvalidInput

if TYPE_CHECKING:
    from w2stree.forest.forest import Forest
    from w2stree.forest.summary import ForestSummary
    from w2stree.forest.tasks import Outcomes


@takes_runs
def tree(
    source: Source,
    task: Annotated[
        str | None,
        typer.Option(
            metavar="TASK",
            help="draw this task's tree; its id, or how the id begins",
            show_default=False,
        ),
    ] = None,
    depth: Annotated[
        int | None,
        typer.Option(
            parser=whole_number(at_least=0),
            metavar="N",
            help="of one tree: draw N steps from the root",
            show_default=False,
        ),
    ] = None,
    min_runs: Annotated[
        int | None,
        typer.Option(
            parser=whole_number(at_least=1),
            metavar="N",
            help="of one tree: draw branches of at least N runs",
            show_default=False,
        ),
    ] = None,
    raw: Annotated[
        bool,
        typer.Option("--raw", help="of one tree: texts whole and as they are, terminal codes too"),
    ] = False,
    success_at: SuccessAt = None,
    min_similarity: MinSimilarity = None,
    embed: Embed = None,
    normalize: Normalize = None,
    guard: Guard = True,
    engine: EngineName = None,
    output: Folder = None,
    buckets: Buckets = None,
    as_json: AsJson = False,
) -> int:
    """Summarise runs as a forest, or draw one task's tree.

    With --engine the forest is kept, a file a bucket: w2stree tree DIR looks at it again.

    A saved forest is taken too, alone. Files of a folder that are not read are named on standard
    error, and so are runs that were read twice. Equal observations are merged; --min-similarity
    and --normalize merge more. A saved forest keeps the rule it was built by: another one is
    refused.

    Of a tree, texts are shortened, on a terminal to its width, and what a terminal would obey is
    shown: --raw prints them as they are, and is for a file or a pager.
    """
    of_one_tree = {"--depth": depth, "--min-runs": min_runs, "--raw": raw or None}
    if task is None and (given := [name for name, v in of_one_tree.items() if v is not None]):
        raise InvalidInput(f"{given[0]} is of one task's tree: give --task")
    if task is not None and as_json:
        raise InvalidInput(
            "--json is of the summary; a task's numbers are in w2stree tasks --task TASK --json, "
            "its runs in w2stree show --task TASK --json"
        )
    if engine is not None:
        others = {"--task": task, "--min-similarity": min_similarity, "--embed": embed}
        return _on_engine(engine, source, output, buckets, normalize, success_at, as_json, others)
    refuse_without_engine({"--output": output, "--buckets": buckets})
    rule = rule_of(min_similarity, embed, normalize, guard=guard)
    forest, runs = read_forest(source, rule, task=task)
    if task is not None:
        tree = forest[chosen_task(forest.task_ids, task)]
        drawn = tree.drawn(raw=raw, width=terminal_width(), depth=depth, min_runs=min_runs or 1)
        say(drawn, raw=raw)
        num_others = len(runs.trajectories) - int(forest.num_trajectories[tree.root])
        say(runs.account({"of other tasks": num_others}))
    elif as_json:
        say(json.dumps(_record(forest, runs, success_at), indent=2))
    else:
        say(_summary(forest, success_at))
        say(runs.account())
    return 0


def _summary(forest: Forest, success_at: float | None) -> str:
    from w2stree.forest.summary import two_columns
    from w2stree.forest.tasks import outcomes_of

    outcomes = outcomes_of(forest.tasks(success_threshold=success_at))
    return two_columns([*forest.summary().rows(), *outcomes.rows()])


def _record(forest: Forest, runs: Runs, success_at: float | None) -> dict[str, Any]:
    from w2stree.forest.tasks import outcomes_of

    outcomes = outcomes_of(forest.tasks(success_threshold=success_at))
    return {
        **_numbers(forest.summary(), outcomes),
        "digest": forest.digest(),
        **runs.counts(),
    }


def _numbers(summary: ForestSummary, outcomes: Outcomes) -> dict[str, Any]:
    found, ended = asdict(summary), asdict(outcomes)
    for name in ("num_tasks", "num_runs"):  # num_trees and num_trajectories, by other words
        ended.pop(name)
    return {"num_tasks": found.pop("num_trees"), **found, **ended}


def _on_engine(
    engine: str,
    source: Source,
    output: Path | None,
    buckets: int | None,
    normalize: str | None,
    success_at: float | None,
    as_json: bool,
    others: Mapping[str, object],
) -> int:
    from w2stree.forest.bucket_forest import BucketForest
    from w2stree.forest.summary import two_columns

    with needs("arrow"):
        from w2stree.scale.jobs import Forests
        from w2stree.scale.totals import outcomes_of_all
    openings: Any = source.openings
    job = Forests(normalize=normalize, openings=openings, success_at=success_at)
    finished = run_on_engine(engine, job, source, output, buckets, others)
    assert output is not None  # or it was refused
    counts = finished.manifest.counts
    if not counts["num_trajectories"]:
        raise InvalidInput(f"{output}: finished, and all of its runs are error rows")
    summary = BucketForest(output).summary()
    outcomes = outcomes_of_all([r["outcomes"] for r in finished.records if "outcomes" in r])
    account = account_of(counts)
    if as_json:
        digest = finished.manifest.digest
        say(json.dumps({**_numbers(summary, outcomes), "digest": digest, **account}, indent=2))
        return 0
    say(two_columns([*summary.rows(), *outcomes.rows()]))
    say(told_buckets(finished, output))
    say(told_account(account))
    return 0
