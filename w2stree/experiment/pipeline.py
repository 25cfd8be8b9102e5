"""Running an experiment in its directory: all of its stages, or those that some methods need."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from w2stree.errors import InvalidInput
from w2stree.experiment.checks import check
from w2stree.experiment.config import Config
from w2stree.experiment.consent import consent
from w2stree.experiment.run_directory import StageSpec
from w2stree.experiment.running import run_stages
from w2stree.experiment.shared_runs import SharedRuns
from w2stree.experiment.stage_graph import leading_to, stages
from w2stree.experiment.stages import learn
from w2stree.experiment.stages.bar import Bar, Silent
from w2stree.experiment.stages.context import Context
from w2stree.rollouts.executor import Cluster


def run_experiment(
    config: Config,
    run_dir: Path,
    *,
    force: Sequence[str] = (),
    redo: bool = False,
    share: Path | None = None,
    cluster: Cluster | None = None,
    announce: Callable[[str, str], None],
    bar: Bar | None = None,
) -> Path:
    """Run every stage that is missing or out of date; returns the report's folder.

    A stage is out of date where a key of the configuration that it reads, or what it reads of
    other stages or outside the run, is another than it was made from. `redo`: also where that
    replaces what `consent` protects. `share`: a folder of runs whose stages are taken over where
    they are those of this run (`SharedRuns`). `cluster`: the machines that play explorations and
    evaluations, which have `run_dir` under the same path; None: this one does. `announce(stage,
    what)` is told of each stage, `bar` of what happens in it.

    Interrupting leaves finished stages as they are: run again to go on. Raises
    `RunDirectoryError` where another configuration made `run_dir`, `InvalidInput` and
    `MissingDependency` before any stage runs where that can be known.
    """
    _run(config, run_dir, None, force, redo, share, cluster, announce, bar)
    return run_dir / "report"


def run_methods(
    config: Config,
    run_dir: Path,
    methods: Collection[str],
    *,
    also: Collection[str] = (),
    redo: bool = False,
    share: Path | None = None,
    announce: Callable[[str, str], None],
    bar: Bar | None = None,
) -> list[StageSpec]:
    """Evaluate these methods, running what they need and is missing or out of date, no report and
    no other method; returns the stages that led to them, in order. `also`: other stages to run,
    those too that no method needs (`explore_held_out`).

    As `run_experiment` beside that, which goes on with such a run: of the same configuration it
    finds these stages done. Raises `InvalidInput` for a method or a stage that the configuration
    leaves out.
    """
    known = [method.name for method in config.methods()]
    for name in methods:
        if name not in known:
            raise InvalidInput(
                f"{name} is no method of {config.name}; it has {', '.join(known)}: give it the "
                "method's section"
            )
    wanted = (*(f"evaluate_{name}" for name in methods), *also)
    return _run(config, run_dir, wanted, (), redo, share, None, announce, bar)


def _run(
    config: Config,
    run_dir: Path,
    wanted: Collection[str] | None,
    force: Sequence[str],
    redo: bool,
    share: Path | None,
    cluster: Cluster | None,
    announce: Callable[[str, str], None],
    bar: Bar | None,
) -> list[StageSpec]:
    chooses_anew = "tasks" in force
    context = Context(config, run_dir, bar or Silent(), cluster, chooses_anew=chooses_anew)
    shared = None if share is None else SharedRuns(share)
    with contextlib.closing(context), contextlib.ExitStack() as held:
        listed = stages(context, also=wanted or ())
        specs = [spec for spec, _ in listed]
        _check_forced(force, [spec.name for spec in specs])
        # Asked of all stages, whichever are run: the configuration that is kept is one for all.
        context.accept = consent(config, specs, is_given=redo, force=force)
        if shared is not None:
            shared.refuse_none(run_dir)
        if run_dir.is_dir():  # refused before an environment is started
            held.enter_context(context.directory().lock())
            context.directory().recover(specs)
            tasks = next(spec for spec in specs if spec.name == "tasks")
            if not context.chooses_anew:  # by force: whatever there is does not count
                context.chooses_anew = not context.directory().is_current(tasks)
        check(context)  # a run that cannot go on makes no folder
        directory = context.directory()
        learn.use_threads(config.num_threads)
        if wanted is not None:
            listed = leading_to(wanted, listed)
        with context.bar.line("stages") as progress:
            run_stages(
                directory,
                listed,
                seed=config.seed,
                force=force,
                announce=announce,
                shared=shared,
                progress=progress,
            )
    return [spec for spec, _ in listed]


def _check_forced(force: Sequence[str], names: Sequence[str]) -> None:
    for name in force:
        if name not in names:
            raise InvalidInput(f"--force {name}: no such stage; stages are {', '.join(names)}")
