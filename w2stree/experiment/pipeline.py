"""Weak-to-strong, stage by stage: the method of the paper as files that lead to files.

Which models are trained, and evaluated, is up to the methods of the configuration:

random_play ─> pretrain ─┐
   └─> tokenizer <┐      ├─> sft_strong ─┬─> ceiling <─ ceiling_demonstrations
demonstrations ───┴──────┴─> sft_weak    ├─> tree_dpo <┐
                                │        └─> mcts_sft <┤
                                └─> explore ─> tree ───┘
each method's model, and random play ─> evaluate_* ─> report

Before all of them `tasks` chooses what is demonstrated, explored and tested; every stage that plays
reads it.
`mcts_sft` and `ceiling` are shown `demonstrations` too; the weak model may be `tree_dpo`'s
reference. Demonstrations are the expert's, or with `demonstrations` those of a file,
played again before anything else; with `explore.trajectories` the weak model explores nothing.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from w2stree.errors import InvalidInput
from w2stree.experiment.checks import check
from w2stree.experiment.config import Config
from w2stree.experiment.methods import sft
from w2stree.experiment.run_directory import StageSpec, StageWriter, run_stages
from w2stree.experiment.stages import choose, demonstrate, learn, measure, play, tree
from w2stree.experiment.stages.bar import Bar, Silent
from w2stree.experiment.stages.context import Context
from w2stree.experiment.stages.inputs import inputs_for, outside

Stage = tuple[StageSpec, Callable[[StageWriter], None]]

PLAYED = ("trajectories.jsonl",)
MODEL = ("model/config.json",)


def run_experiment(
    config: Config,
    run_dir: Path,
    *,
    force: Sequence[str] = (),
    announce: Callable[[str, str], None],
    bar: Bar | None = None,
) -> Path:
    """Run every stage that is missing or out of date; returns the report's folder.

    `announce(stage, what)` is told of each stage, `bar` of what happens in it.

    Interrupting leaves finished stages as they are: run again to go on. Raises
    `RunDirectoryError` where another configuration made `run_dir`, `InvalidInput` and
    `MissingDependency` before any stage runs where that can be known.
    """
    context = Context(config, run_dir, bar or Silent(), chooses_anew="tasks" in force)
    with contextlib.closing(context), contextlib.ExitStack() as held:
        listed = stages(context)
        _check_forced(force, [spec.name for spec, _ in listed])
        if run_dir.is_dir():  # refused before an environment is started
            held.enter_context(context.directory().lock())
            context.directory().recover(spec for spec, _ in listed)
        check(context)  # a run that cannot go on makes no folder
        directory = context.directory()
        learn.use_threads(config.num_threads)
        run_stages(directory, listed, seed=config.seed, force=force, announce=announce)
    return directory.stage("report")


def stages(context: Context) -> list[Stage]:
    """All stages in the order they run: each method's training after what it needs, then each
    method's evaluation, then the report."""
    methods = context.config.methods()
    available = {
        spec.name: (spec, run) for spec, run in (*_sources(context), *_of_methods(context))
    }
    ordered: dict[str, Stage] = {}

    def visit(name: str) -> None:
        if name in ordered:
            return
        spec, run = available[name]
        needs = tuple(need for need in spec.needs if need in available)
        for need in needs:
            visit(need)
        ordered[name] = (replace(spec, needs=needs), run)

    if context.config.demonstrations is not None:
        # Only playing them shows whether the environment answers as it did: before any training.
        needs = {need for spec, _ in available.values() for need in spec.needs}
        for name in ("demonstrations", "ceiling_demonstrations"):
            if name in needs:
                visit(name)
    for method in methods:
        if method.train is not None:
            visit(method.name)
    for method in methods:
        visit(f"evaluate_{method.name}")
    visit("report")
    return list(ordered.values())


def _sources(context: Context) -> Iterator[Stage]:
    """Stages that are there whatever is compared; needs that are not there are left out."""
    config = context.config

    def stage(
        name: str,
        run: Callable[[Context, StageWriter], None],
        *needs: str,
        makes: tuple[str, ...] = PLAYED,
        external: tuple[Path, ...] = (),
        reads: tuple[str, ...] = (),
    ) -> Stage:
        return StageSpec(name, needs, makes, external, reads), functools.partial(run, context)

    shown = () if config.demonstrations is None else (config.demonstrations,)
    given = config.explore.trajectories
    explored = () if given is None else (given,)
    yield stage("tasks", choose.tasks, makes=choose.FILES, external=(*shown, *explored))
    yield stage("demonstrations", demonstrate.demonstrations, "tasks", external=shown)
    yield stage(
        "ceiling_demonstrations", demonstrate.ceiling_demonstrations, "tasks", external=shown
    )
    if config.weak.architecture or config.strong.architecture:
        needs = ("demonstrations", "random_play")
        yield stage("tokenizer", learn.tokenizer, *needs, makes=("model/tokenizer.json",))
    if config.strong.pretrain is not None:
        yield stage("random_play", play.random_play, "tasks")
        yield stage(
            "pretrain",
            learn.pretrain,
            "random_play",
            "tokenizer",
            makes=MODEL,
            external=outside(config.strong),
        )
    if config.explore.samplings is None:
        yield stage("explore", play.explored_before, "tasks", external=explored)
    elif any(sampling.model == "base" for sampling in config.explore.samplings):
        # The weak model as its training finds it plays too.
        weak = ("tasks", sft.WEAK.name, "tokenizer")
        yield stage("explore", play.explore, *weak, external=outside(config.weak))
    else:
        yield stage("explore", play.explore, "tasks", sft.WEAK.name)
    described = tuple(m.name for m in config.methods() if m.describe is not None)
    yield stage("tree", tree.tree, "explore", makes=tree.FILES, reads=described)
    evaluations = (f"evaluate_{method.name}" for method in config.methods())
    read = ("tasks", "explore", "tree", *evaluations)
    late = config.read_late()  # the whole configuration stands in it
    yield stage("report", measure.report, *read, makes=measure.FILES, reads=late)


def _of_methods(context: Context) -> Iterator[Stage]:
    """What each method is trained on, and its evaluation."""
    for method in context.config.methods():
        trained = () if method.train is None else (method.name,)
        if method.train is not None:
            inputs = inputs_for(method, context.config).values()
            needs = tuple(dict.fromkeys(stage for source in inputs for stage in source.stages))
            external = tuple(folder for source in inputs for folder in source.external)
            reads = () if method.section is None else (method.name,)
            spec = StageSpec(method.name, needs, MODEL, external, reads)
            yield spec, functools.partial(learn.train, context, method=method)
        spec = StageSpec(f"evaluate_{method.name}", ("tasks", *trained), PLAYED)
        yield spec, functools.partial(play.evaluate, context, method=method)


def _check_forced(force: Sequence[str], names: Sequence[str]) -> None:
    for name in force:
        if name not in names:
            raise InvalidInput(f"--force {name}: no such stage; stages are {', '.join(names)}")
