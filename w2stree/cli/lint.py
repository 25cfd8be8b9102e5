"""`w2stree lint`: what training would drop, cut or mis-mask, before a GPU is rented."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from w2stree.cli.before_models import before_models
from w2stree.cli.given_paths import is_read_once
from w2stree.cli.inputs import AsJson, Runs, Source, takes_runs
from w2stree.cli.parameters import Normalize, number, whole_number
from w2stree.cli.say import say
from w2stree.errors import InvalidInput
from w2stree.shorten import visible

if TYPE_CHECKING:
    from w2stree.linting.finding import Findings
    from w2stree.rows.row_files import Kind

_LEAST_COLUMNS = 60
_MOST_COLUMNS = 120
_OF_A_FOREST = ("--min-gap", "--completion")
"""What lint makes of a saved forest too."""


@takes_runs
def lint(
    source: Source,
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
    normalize: Normalize = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="end with status 1 for warnings too")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Say what training would drop, cut or mis-mask: the count, where, and what helps.

    Paths are runs, a saved forest, or rows: preference rows, conversations or token rows, as JSON
    lines, Parquet or a data set's folder. Of several files of rows, tasks that stand in two of them
    are found. Each rule is in docs/lint.md. Without --model those that need a tokenizer are not
    asked. The exit status is 0 where nothing is an error, 1 for an error (with --strict for a
    warning too), 2 where the input cannot be read.

    Examples:

      w2stree lint runs/

      w2stree lint dpo.parquet --model models/strong --max-length 2048

      w2stree lint train.jsonl test.jsonl --strict

      w2stree lint 'logs/*.jsonl' --normalize numbers --json
    """
    from w2stree.forest.merging import Merging
    from w2stree.linting.finding import Severity

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
        "openings": source.of_a_task,
        "merging": None if normalize is None else Merging(normalize_observation=normalize),
    }
    of_runs = {"--normalize": normalize, "--min-gap": min_gap, "--completion": completion}
    of_runs = {name: value for name, value in of_runs.items() if value not in (None, 0.0, "step")}
    findings = _looked_into(source, options, [*of_runs, *source.given])
    if as_json:
        say(json.dumps(findings.record(), ensure_ascii=False, indent=2))
    else:
        _print(findings)
    num_bad = findings.num_of(Severity.ERROR)
    if strict:
        num_bad += findings.num_of(Severity.WARNING)
    return 1 if num_bad else 0


def _looked_into(source: Source, options: dict[str, Any], of_runs: list[str]) -> Findings:
    """As rows, or as runs: by what is in the first path, unless an option of runs is given.

    Raises `InvalidInput` for rows where one of `of_runs` is given, which would do nothing.
    """
    from w2stree.linting.lint import lint as look
    from w2stree.rows.row_files import Kind, kind_of, parts_of, runs_or_both_reasons, verdict_of

    first = Path(source.paths[0])
    read = source.read
    # A pattern, or nothing: the reader of runs knows.
    if not is_read_once(source.paths[0]) and first.exists() and not source.is_told:
        try:
            kind = kind_of(parts_of(first)[0])
        except InvalidInput as error:
            read = partial(runs_or_both_reasons, source.read, error)
        else:
            if kind is Kind.CONVERSATIONS and (has := verdict_of(parts_of(first)[0])):
                return _of_runs(source.read, options, f"read as runs, for {has}")
            if kind is Kind.CONVERSATIONS:
                as_runs = "--format messages reads them as runs"
                _refuse(of_runs, first, kind, f"; {as_runs}")
                found = look(source.paths, **options)
                note = f"read as conversations to imitate; {as_runs}"
                return replace(found, notes=(note, *found.notes))
            if kind.is_rows:
                _refuse(of_runs, first, kind)
            if kind is Kind.FOREST:
                _refuse([name for name in of_runs if name not in _OF_A_FOREST], first, kind)
            if kind is not Kind.TRAJECTORIES:
                return look(source.paths, **options)
    return _of_runs(read, options)


def _of_runs(read: Callable[[], Runs], options: dict[str, Any], *notes: str) -> Findings:
    from w2stree.linting.lint import lint as look

    runs = read()
    runs.refuse_if_all_were_skipped()
    if not runs.trajectories:
        raise InvalidInput(f"{runs.where}: has no runs and no rows")
    found = look(runs.trajectories, places=runs.places, **options)
    skipped = {**runs.skipped, **found.skipped}
    notes = (*notes, *runs.how_read(), *found.notes)
    return replace(found, num_given=runs.num_read, skipped=skipped, notes=notes)


def _refuse(options: list[str], path: Path, kind: Kind, cure: str = "") -> None:
    if options:
        raise InvalidInput(
            f"{', '.join(options)}: of runs; {visible(str(path))} has {kind.value}{cure}"
        )


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
