"""`w2stree experiment`: many runs as one experiment, to its table."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from w2stree.cli.before_models import before_models
from w2stree.cli.cells_shown import CellsShown
from w2stree.cli.extra import needs
from w2stree.cli.parameters import LogJson, names, number, whole_number
from w2stree.cli.progress import Bars
from w2stree.cli.ray_address import ray_address
from w2stree.cli.say import say, warn
from w2stree.errors import InvalidInput
from w2stree.experiment.shipped import shipped_names
from w2stree.shorten import visible
from w2stree.trajectories.lock import refuse_without

if TYPE_CHECKING:
    from w2stree.experiment.grid.cells import Unit
    from w2stree.experiment.grid.plan import Plan
    from w2stree.experiment.grid.results import Results
    from w2stree.experiment.grid.running import Outcome
    from w2stree.experiment.grid.work import Runner

_KNOWN = "ray or ray://auto"


def experiment(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help=f"a YAML file, or a shipped experiment: {', '.join(shipped_names('experiments'))}",
        ),
    ],
    override: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE",
            help="key.path=value for every world, WORLD:key.path=value for one",
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            parser=whole_number(at_least=1),
            help="so many seeds, 0 to N - 1 (default: the experiment's)",
            show_default=False,
        ),
    ] = None,
    budget: Annotated[
        float | None,
        typer.Option(
            metavar="HOURS",
            parser=number(above=0),
            help="begin nothing that would not end in so many hours",
            show_default=False,
        ),
    ] = None,
    methods: Annotated[
        str | None,
        typer.Option(
            metavar="A,B",
            help="run these methods alone now, and no analyses but --analyses",
            show_default=False,
        ),
    ] = None,
    worlds: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="run these worlds alone now", show_default=False),
    ] = None,
    analyses: Annotated[
        str | None,
        typer.Option(
            metavar="A,B",
            help="measure these analyses alone now, beside --methods where it is given",
            show_default=False,
        ),
    ] = None,
    runs: Annotated[
        Path, typer.Option(metavar="DIR", help="the folder that run directories lie in")
    ] = Path("runs/experiments"),
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="where results go, in a folder named NAME")
    ] = Path("results"),
    processes: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            parser=whole_number(at_least=1),
            help="cells that run side by side (default: 2; with --engine, as many as have room)",
            show_default=False,
        ),
    ] = None,
    redo: Annotated[
        bool,
        typer.Option("--redo", help="redo whatever another configuration of a run changes"),
    ] = False,
    report_only: Annotated[
        bool, typer.Option("--report-only", help="run nothing; make the table from the results")
    ] = False,
    log_json: LogJson = False,
    engine: Annotated[
        str | None,
        typer.Option(
            "--engine",
            metavar="ray[://auto]",
            help="run cells on the machines of a cluster, which share --runs: that of "
            "$RAY_ADDRESS, else this machine alone, or the one started here (docs/cluster.md)",
            show_default=False,
        ),
    ] = None,
) -> int:
    """Run what an experiment lacks, and make its table.

    The same command goes on with what was interrupted, and tries again what failed. Without the
    run directories the results alone make the table. The exit status is 1 where a method or an
    analysis failed.
    """
    asked = {
        "--budget": budget,
        "--methods": methods,
        "--analyses": analyses,
        "--worlds": worlds,
        "--redo": redo or None,
        "--log-json": log_json or None,
        "--engine": engine,
    }
    if report_only and (of_a_run := [name for name, value in asked.items() if value is not None]):
        raise InvalidInput(f"--report-only runs nothing: leave out {', '.join(of_a_run)}")
    address = None if engine is None else _address(engine)
    if not report_only:
        refuse_without("w2stree experiment")
    before_models()
    with needs("run"):
        from w2stree.experiment.grid.plan import read_plan
        from w2stree.experiment.grid.results import Results
        from w2stree.experiment.grid.summary import summarise
        from w2stree.report.grid import write_grid

    plan = read_plan(name, seeds=seeds, overrides=override or ())
    results = Results(out / plan.grid.name)
    units = plan.chosen(
        names("--methods", methods), names("--worlds", worlds), names("--analyses", analyses)
    )
    for method, world in plan.left_out():
        warn(f"w2stree: {world} has no {method}: its configuration lacks the section")
    for analysis, world, method in plan.analyses_left_out():
        warn(f"w2stree: {analysis} is not measured of {world}: it has no {method}")
    num_failed = 0
    if not report_only:
        try:
            with _runner(plan, engine, address, processes) as runner:
                outcome = _run(plan, units, results, runs, runner, budget, redo, log_json)
        except KeyboardInterrupt:
            warn(
                f"w2stree: finished stages are kept in {runs}, results in {results.folder}; "
                "--report-only makes the table from them"
            )
            raise
        num_failed = len(outcome.failed)
    summary = summarise(plan, results)
    write_grid(results.folder, summary)
    say((results.folder / "table.md").read_text(encoding="utf-8"))
    say(f"table: {results.folder / 'table.md'}")
    if num_failed:
        warn(f"w2stree: {num_failed} failed; run the same command again to try them again")
    return 1 if num_failed else 0


def _address(engine: str) -> str | None:
    """Of the cluster that this machine is one of; from outside it nobody shares the runs."""
    address = ray_address(engine, known=_KNOWN)
    if address not in (None, "auto"):
        raise InvalidInput(
            f"--engine {visible(engine)}: an experiment is started on a machine of the cluster, "
            f"which shares --runs: use {_KNOWN} there"
        )
    return address


@contextmanager
def _runner(
    plan: Plan, engine: str | None, address: str | None, processes: int | None
) -> Iterator[Runner]:
    """Who runs the cells: processes of this machine, or a cluster's machines."""
    from w2stree.experiment.grid.local_runner import LocalRunner

    if engine is None:
        yield LocalRunner(processes or 2)
        return
    with needs("ray"):
        from w2stree.experiment.grid.ray_runner import RayRunner
        from w2stree.rollouts.cluster.connection import connected
    with connected(address):
        yield RayRunner(plan, at_most=processes, prepare=before_models)


def _run(
    plan: Plan,
    units: list[Unit],
    results: Results,
    runs: Path,
    runner: Runner,
    budget: float | None,
    redo: bool,
    log_json: bool,
) -> Outcome:
    with needs("run"):
        from w2stree.experiment.grid.running import run_cells
    with Bars(as_json=log_json) as bars, bars.line("cells") as show:
        shown = CellsShown(show, len(units), as_json=log_json)
        outcome = run_cells(
            plan,
            units,
            runs=runs,
            results=results,
            runner=runner,
            budget_s=None if budget is None else 3600 * budget,
            redo=redo,
            announce=shown.announce,
            progress=shown.progress,
        )
    if outcome.left:
        warn(f"w2stree: the budget is spent; {len(outcome.left)} have not run yet")
    return outcome
