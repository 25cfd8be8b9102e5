"""`w2stree tree`: runs as a forest, summed up, or one task's tree."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from w2stree.cli.choice import chosen_task
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
    as_json: AsJson = False,
) -> int:
    """Summarise runs as a forest, or draw one task's tree.

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

    summary = asdict(forest.summary())
    outcomes = asdict(outcomes_of(forest.tasks(success_threshold=success_at)))
    for name in ("num_tasks", "num_runs"):  # num_trees and num_trajectories, by other words
        outcomes.pop(name)
    return {
        "num_tasks": summary.pop("num_trees"),
        **summary,
        **outcomes,
        "digest": forest.digest(),
        **runs.counts(),
    }
