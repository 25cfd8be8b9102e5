"""The report of a run, made anew: by the run's own stage, or elsewhere of what has finished."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from w2stree.errors import InvalidInput, RunDirectoryError
from w2stree.experiment.analyses.finished_run import finished_run
from w2stree.experiment.changes import changes
from w2stree.experiment.config import Config, config_from_record
from w2stree.experiment.config.layouts import todays_layout
from w2stree.experiment.config.reading import recorded_today
from w2stree.experiment.methods import sft
from w2stree.experiment.methods.method import Method
from w2stree.experiment.run_json import read_json
from w2stree.experiment.stage_graph import leading_to, stages
from w2stree.experiment.stages.context import Context
from w2stree.experiment.stages.measure import report_of
from w2stree.report.report import write_report
from w2stree.shorten import visible

_NEEDED = ("tasks", "demonstrations", "explore", "tree")
_MOST_SHOWN = 6  # stages of a message


def config_of_run(run_dir: Path) -> Config:
    """The configuration that a run was made with, whatever version wrote it down. Raises
    `RunDirectoryError` where the directory is no run, and where results in it are of another
    configuration; `InvalidInput` for keys of another version.
    """
    finished_run(run_dir)
    file = run_dir / "config.json"
    config = config_from_record(todays_layout(read_json(file)), str(file))
    _refuse_mixed(Context(config, run_dir))
    return config


def report_again(run_dir: Path, out: Path | None = None) -> Path:
    """Make a run's report anew; returns its folder. Nothing is trained or played.

    Without `out` it replaces the run's own, and every stage that it tells of has to have finished.
    With `out`, a folder, the run is only read, also while another process is in it, and methods
    that have not been tested are left out. Raises `RunDirectoryError` where a stage is missing
    that no report is without.
    """
    config = config_of_run(run_dir)
    context = Context(config, run_dir)
    if out is not None:
        methods = _finished(context)
        write_into(out, context, methods)
        return out
    spec, run = leading_to(["report"], stages(context))[-1]
    if missing := [name for name in spec.needs if context.manifest(name) is None]:
        of_the_rest = ", or give --out DIR for a report of what has finished"
        raise RunDirectoryError(
            f"{visible(str(run_dir))}: {_some(missing)}: not finished, so its report cannot be "
            "made; go on with the run by the command that began it"
            f"{'' if _without_base(context) else of_the_rest}"
        )
    with context.directory().lock():
        context.directory().recover([spec])
        with context.directory().write(spec, config.seed) as writer:
            run(writer)
    return run_dir / spec.name


def _refuse_mixed(context: Context) -> None:
    """A run that takes another configuration keeps results until there are new ones. Nothing is
    held or written: another process may be in the run."""
    config = context.config
    now, today = config.model_dump(mode="json"), recorded_today(config)
    for spec, _ in stages(context):
        recorded = (context.manifest(spec.name) or {}).get("config")
        if spec.name == "report" or recorded is None:
            continue
        try:
            made_with = today(recorded)
        except (InvalidInput, KeyError):  # of a version that is not read here
            continue
        if changed := changes(made_with, now, of=spec.reads, but=config.may_change()):
            raise RunDirectoryError(
                f"{visible(str(context.run_dir))}: {spec.name} is of another configuration than "
                f"config.json ({changed[0]}): the run took this one and has not finished; go on "
                "with it by the command that began it"
            )


def write_into(folder: Path, context: Context, methods: Sequence[Method]) -> None:
    """The report of these methods."""
    made = report_of(context, methods)
    folder.mkdir(parents=True, exist_ok=True)
    write_report(folder, made)


def _finished(context: Context) -> list[Method]:
    """The methods that were tested, the weak and the strong model among them."""
    if missing := _without_base(context):
        raise RunDirectoryError(
            f"{visible(str(context.run_dir))}: {', '.join(missing)}: not finished; a report "
            "compares with the weak and the strong model and shows the explored trees: run a "
            "configuration of this run to its end, or compare what there is by "
            "`w2stree report RUN RUN…`"
        )
    return [
        method
        for method in context.config.methods()
        if context.manifest(f"evaluate_{method.name}") is not None
    ]


def _without_base(context: Context) -> list[str]:
    """The unfinished stages among those that no report is without."""
    base = [f"evaluate_{method.name}" for method in (sft.WEAK, sft.STRONG)]
    return [name for name in (*_NEEDED, *base) if context.manifest(name) is None]


def _some(stages: Sequence[str]) -> str:
    shown = ", ".join(stages[:_MOST_SHOWN])
    more = len(stages) - _MOST_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
