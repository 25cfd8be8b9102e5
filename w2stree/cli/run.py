"""`w2stree run`: an experiment, stage by stage, to its report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from w2stree.cli.before_models import before_models
from w2stree.cli.extra import needs
from w2stree.cli.parameters import Overrides, RunDir
from w2stree.cli.progress import Bars
from w2stree.cli.say import say


def run(
    config: Annotated[
        str,
        typer.Argument(
            metavar="CONFIG",
            help="a YAML file, or a shipped configuration: quickstart, miniature",
        ),
    ],
    override: Overrides = None,
    run_dir: RunDir = None,
    force: Annotated[
        list[str] | None,
        typer.Option(metavar="STAGE", help="redo a finished stage; may be given again"),
    ] = None,
) -> int:
    """Run an experiment, stage by stage, to its report."""
    before_models()
    with needs("all"):
        from w2stree.experiment.config import load_config

        read = load_config(config, override or ())  # before torch is there: mistakes show at once
        from w2stree.experiment.pipeline import run_experiment
    with Bars() as bars:
        report = run_experiment(
            read,
            run_dir or Path("runs") / read.name,
            force=force or (),
            announce=_announce,
            bar=bars,
        )
    say((report / "report.md").read_text(encoding="utf-8"))
    say(f"report: {report / 'report.html'}")
    return 0


def _announce(stage: str, what: str) -> None:
    say(f"{stage:<24} {what}")
