"""`w2stree run`: an experiment, stage by stage, to its report."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from w2stree.cli.before_models import before_models
from w2stree.cli.executors import LocalDir, cluster_of, refuse_other_engines
from w2stree.cli.extra import needs
from w2stree.cli.parameters import LogJson, Overrides, RunDir
from w2stree.cli.progress import Bars, warn_json
from w2stree.cli.say import say, warn
from w2stree.experiment.shipped import shipped_names
from w2stree.trajectories.lock import refuse_without


def run(
    config: Annotated[
        str,
        typer.Argument(
            metavar="CONFIG",
            help=f"a YAML file, or a shipped configuration: {', '.join(shipped_names('configs'))}",
        ),
    ],
    override: Overrides = None,
    run_dir: RunDir = None,
    force: Annotated[
        list[str] | None,
        typer.Option(metavar="STAGE", help="redo a finished stage; may be given again"),
    ] = None,
    redo: Annotated[
        bool,
        typer.Option("--redo", help="redo whatever another configuration of the run changes"),
    ] = False,
    share: Annotated[
        Path | None,
        typer.Option(
            metavar="RUNS",
            help="take over stages that runs in this folder have finished, where they are the same",
            show_default=False,
        ),
    ] = None,
    log_json: LogJson = False,
    engine: Annotated[
        str | None,
        typer.Option(
            "--engine",
            metavar="ray[://ADDRESS]",
            help="play explorations and evaluations on the machines of a cluster, which share "
            "--run-dir: that of $RAY_ADDRESS, else this machine alone, or the one at ADDRESS "
            "(docs/cluster.md)",
            show_default=False,
        ),
    ] = None,
    local_dir: LocalDir = None,
) -> int:
    """Run an experiment, stage by stage, to its report.

    The same command goes on with a run that was interrupted. The exit status is 1 where samples
    of the exploration ended in errors alone.
    """
    refuse_without("w2stree run")
    refuse_other_engines(engine, local_dir)
    before_models()
    with needs("run"):
        from w2stree.experiment.config import load_config

        read = load_config(config, override or ())  # before torch is there: mistakes show at once
        from w2stree.experiment.pipeline import run_experiment
    from w2stree.experiment.manifest import read_manifest

    folder = run_dir or Path("runs") / read.name
    try:
        with (
            Bars(as_json=log_json) as bars,
            nullcontext() if engine is None else cluster_of(engine, local_dir) as cluster,
        ):
            report = run_experiment(
                read,
                folder,
                force=force or (),
                redo=redo,
                share=share,
                cluster=cluster,
                announce=_announce_json if log_json else _announce,
                bar=bars,
            )
    except KeyboardInterrupt:
        warn(
            f"w2stree: finished stages are kept in {folder}, and of an exploration every episode "
            "that had ended"
        )
        raise
    say((report / "report.md").read_text(encoding="utf-8"))
    say(f"report: {report / 'report.html'}")
    explored = read_manifest(folder / "explore", "explore") or {}
    if num_failed := explored.get("metrics", {}).get("num_failed", 0):
        warn(
            f"w2stree: {num_failed} samples of the exploration ended in errors alone; --force "
            "explore plays all of it again"
        )
    return 1 if num_failed else 0


def _announce_json(stage: str, what: str) -> None:
    warn_json({"stage": stage, "said": what})


def _announce(stage: str, what: str) -> None:
    say(f"{stage:<24} {what}")
