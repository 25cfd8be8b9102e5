"""`w2stree convert`: runs from any format to any other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from w2stree.cli.engine import (
    Buckets,
    EngineName,
    account_of,
    refuse_without_engine,
    run_on_engine,
    told_account,
    told_buckets,
)
from w2stree.cli.extra import needs
from w2stree.cli.inputs import Source, takes_runs
from w2stree.cli.say import say, warn
from w2stree.errors import InvalidInput


@takes_runs
def convert(
    source: Source,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="PATH", help="where to: .jsonl, .jsonl.gz, .json, .parquet"
        ),
    ],
    to: Annotated[
        str, typer.Option(metavar="NAME", help="the format to write (docs/formats.md)")
    ] = "w2stree",
    force: Annotated[bool, typer.Option("--force", help="write over a file that is there")] = False,
    engine: EngineName = None,
    buckets: Buckets = None,
) -> int:
    """Read runs of any format, and write them in another one.

    Where each thing was found that a format leaves open (reward, task, prompt, action) is said on
    standard error. What the new format has no place for is kept in a field of its own (w2stree),
    from which it is read back. With --engine the output is a folder, of a .parquet a bucket, or
    with --to of a .jsonl.
    """
    from w2stree.formats.reading import format_of
    from w2stree.formats.writing import write_trajectories

    if engine is not None:
        format_of(to)
        with needs("arrow"):
            from w2stree.scale.jobs import Converted
        others = {"--force": force}
        finished = run_on_engine(engine, Converted(to=to), source, output, buckets, others)
        counts = finished.manifest.counts
        say(told_buckets(finished, output))
        say(told_account(account_of({**counts, "num_errors": 0})))  # they are written too
        return 0
    refuse_without_engine({"--buckets": buckets})
    if output.exists() and not force:
        raise InvalidInput(f"{output} is there: write it over with --force, or name another")
    runs = source.read()
    runs.refuse_if_all_were_skipped()
    write_trajectories(output, runs.trajectories, format=to)
    for line in runs.how_read():
        warn(line)
    say(f"{runs.account()}; written to {output} ({to})")
    return 0
