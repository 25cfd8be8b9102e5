"""`w2stree report RUN…`: the report of a run anew, or several runs in one table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from w2stree.cli.before_models import before_models
from w2stree.cli.extra import needs
from w2stree.cli.say import say


def report(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN",
            help="directories of `w2stree run`, or of the --runs folder of an experiment",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="where the files go; of one run the default is its own report, of several none",
            show_default=False,
        ),
    ] = None,
) -> int:
    """Make a run's report anew, or compare several runs and seeds.

    Of one run: whether it worked, why, what next, as JSON, Markdown and a page. With --out the run
    is only read, and methods that were not tested yet are left out.

    Of several: a table by method over their seeds. Runs of other configurations have tables of
    their own, with the keys that differ. Nothing is trained or played.
    """
    before_models()
    with needs("run"):
        from w2stree.experiment.report_again import report_again

        if len(runs) == 1:
            folder = report_again(runs[0], out)
            say((folder / "report.md").read_text(encoding="utf-8"))
            say(f"report: {folder / 'report.html'}")
            return 0
        from w2stree.experiment.compared_runs import compare_runs
        from w2stree.report.grid import grid_table, write_grid

        compared = compare_runs(runs)
    say(grid_table(compared, figures=False))
    if out is not None:
        write_grid(out, compared)
        say(f"kept: {out / 'table.md'}, summary.json and figures")
    return 0
