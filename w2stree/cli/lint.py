"""`w2stree lint`: what training would drop, cut or mis-mask, before a GPU is rented."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from w2stree.cli.before_models import before_models
from w2stree.cli.inputs import AsJson, Recursive, Salvage, read_runs
from w2stree.cli.parameters import number, whole_number
from w2stree.cli.say import say
from w2stree.errors import InvalidInput

if TYPE_CHECKING:
    from w2stree.linting.finding import Findings

_LEAST_COLUMNS = 60
_MOST_COLUMNS = 120


def lint(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...",
            help="runs (files, folders, patterns in quotes, - for standard input), a saved forest, "
            "or rows: preference rows, conversations or token rows, as JSON lines, Parquet or a "
            "data set's folder; of several files tasks in two of them are found",
            show_default=False,
        ),
    ],
    model: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="a tokenizer's directory; a model's has positions too"),
    ] = None,
    max_length: Annotated[
        int | None,
        typer.Option(
            parser=whole_number(at_least=1),
            metavar="TOKENS",
            help="that training will be asked for (default: the model's positions; stock TRL's "
            "1024)",
        ),
    ] = None,
    chat_template: Annotated[
        str | None,
        typer.Option(metavar="NAME_OR_FILE", help="in place of the model's own (docs/models.md)"),
    ] = None,
    completion: Annotated[
        str,
        typer.Option(
            metavar="step|suffix", help="how pairs become rows: one turn, or all that followed"
        ),
    ] = "step",
    min_gap: Annotated[
        float, typer.Option(parser=number(), metavar="GAP", help="least difference of a pair")
    ] = 0.0,
    success_threshold: Annotated[
        float,
        typer.Option(parser=number(), metavar="SHARE", help="of the range of returns: success"),
    ] = 1.0,
    return_range: Annotated[
        tuple[float, float] | None,
        typer.Option(metavar="LOW HIGH", help="of all returns (default: 0 1)", show_default=False),
    ] = None,
    normalize: Annotated[
        str | None, typer.Option(metavar="NAMES", help="merge runs by it, as in w2stree tree")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="end with status 1 for warnings too")
    ] = False,
    recursive: Recursive = False,
    salvage: Salvage = False,
    as_json: AsJson = False,
) -> int:
    """Say what training would drop, cut or mis-mask: the count, where, and what helps.

    Each rule is in docs/lint.md. Without --model those that need a tokenizer are not asked. The
    exit status is 0 where nothing is an error, 1 for an error (with --strict for a warning too),
    2 where the input cannot be read.

    Examples:

      w2stree lint runs/

      w2stree lint dpo.parquet --model models/strong --max-length 2048

      w2stree lint train.jsonl test.jsonl --strict

      w2stree lint 'logs/*.jsonl' --normalize numbers --json
    """
    from w2stree.forest.merging import Merging
    from w2stree.linting.finding import Severity
    from w2stree.linting.lint import lint as look
    from w2stree.rows.row_files import Kind

    if completion not in ("step", "suffix"):
        raise InvalidInput(f"--completion {completion}: give step or suffix")
    if model is not None:
        before_models()
    options: dict[str, Any] = {
        "model": model,
        "chat_template": chat_template,
        "max_length": max_length,
        "completion": completion,
        "min_gap": min_gap,
        "success_threshold": success_threshold,
        "return_range": return_range,
        "merging": None if normalize is None else Merging(normalize_observation=normalize),
    }
    if _kind(paths) is not Kind.TRAJECTORIES:
        findings = look(paths, **options)
    else:
        runs = read_runs(paths, recursive=recursive, salvage=salvage)
        found = look(runs.trajectories, places=runs.places, **options)
        skipped = {**runs.skipped, **found.skipped}
        findings = replace(found, num_given=runs.num_read, skipped=skipped)
    if as_json:
        say(json.dumps(findings.record(), ensure_ascii=False, indent=2))
    else:
        _print(findings)
    num_bad = findings.num_of(Severity.ERROR)
    if strict:
        num_bad += findings.num_of(Severity.WARNING)
    return 1 if num_bad else 0


def _kind(paths: Sequence[str]) -> Any:
    """Of the first path."""
    from w2stree.linting.lint import parts_of
    from w2stree.rows.row_files import Kind, kind_of

    first = Path(paths[0])
    if paths[0] == "-" or not first.exists():  # a pattern, or nothing: the reader of runs knows
        return Kind.TRAJECTORIES
    return kind_of(parts_of(first)[0])


def _print(findings: Findings) -> None:
    """At the width of the terminal, but no less than can be read."""
    columns = min(_MOST_COLUMNS, max(_LEAST_COLUMNS, shutil.get_terminal_size().columns))
    for line in str(findings).split("\n"):
        indent = " " * (len(line) - len(line.lstrip()))
        wrapped = textwrap.wrap(
            line,
            columns,
            subsequent_indent=f"{indent}  ",
            break_on_hyphens=False,
            break_long_words=False,
        )
        say("\n".join(wrapped))
