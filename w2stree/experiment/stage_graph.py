"""Which stages an experiment has, and what each needs: the method of the paper, file by file.

Which models are trained, and evaluated, is up to the methods of the configuration:

random_play ─> pretrain ─┐
   └─> tokenizer <┐      ├─> sft_strong ─┬─> ceiling <─ ceiling_demonstrations
demonstrations ───┴──────┴─> sft_weak    ├─> tree_dpo <┐
                                │        ├─> mcts_sft <┤
                                └─> explore ─> tree ───┴─> continuations ─> verified_dpo
                                       └─> recombine ─> recombined_sft
tasks ─> plain_search ─> searched_sft
each method's model, and random play ─> evaluate_* ─> report

Before all of them `tasks` chooses what is demonstrated, explored and tested; every stage that plays
reads it.
Methods of imitation (`best_of_m`, `failure_sft`, …) stand where `mcts_sft` does; failed runs are
played again (`replayed_masks`) if one of them asks for it.
`explore_demonstrated` and `explore_strong` are the strong SFT model's own runs, for `eto` and
`ceiling_preferences`; `explore_held_out`, for no method, is run on request (`run_methods`).
`mcts_sft` and `ceiling` are shown `demonstrations` too; the weak model may be `tree_dpo`'s
reference. Demonstrations are the expert's, or with `demonstrations` those of a file,
played again before anything else; with `explore.trajectories` the weak model explores nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from w2stree.errors import InvalidInput
from w2stree.experiment.methods import failure_sft, sft
from w2stree.experiment.methods.method import Method
from w2stree.experiment.parts import Played
from w2stree.experiment.run_directory import StageSpec, StageWriter
from w2stree.experiment.running import Stage
from w2stree.experiment.stages import (
    choose,
    continuations,
    demonstrate,
    learn,
    measure,
    plain_search,
    play,
    played_paths,
    recombine,
    replayed_masks,
    tree,
)
from w2stree.experiment.stages.context import Context, file_of
from w2stree.experiment.stages.evidence import shown_of
from w2stree.experiment.stages.inputs import (
    EXPLORED_KEYS,
    inputs_for,
    inputs_of,
    model_keys,
    outside,
)
from w2stree.experiment.stages.players import role_of

PLAYED = ("trajectories.jsonl",)
MODEL = ("model/config.json",)

PLAYS = ("environment", "prompt")
GENERATES = ("decoding", "num_threads")
FITS = ("max_length", "num_threads", "launch", "evaluate.success_threshold")
"""Keys that whatever plays, generates, or trains reads."""


def stages(context: Context, *, also: Collection[str] = ()) -> list[Stage]:
    """All stages in the order they run: each method's training after what it needs, then each
    method's evaluation, then those asked for `also`, then the report.

    Raises `InvalidInput` for one of the latter that this configuration does not have.
    """
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
        spec = replace(spec, needs=needs)
        ordered[name] = (spec, functools.partial(_run_within, context, spec, run))

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
    for name in also:
        if name not in available:
            raise InvalidInput(f"there is no stage {name}; there are {', '.join(available)}")
        visit(name)
    visit("report")
    return list(ordered.values())


def leading_to(names: Collection[str], listed: Sequence[Stage]) -> list[Stage]:
    """The stages of these names and all that they need, in the order they are listed."""
    specs = {spec.name: spec for spec, _ in listed}
    wanted: set[str] = set()
    pending = list(names)
    while pending:
        if (name := pending.pop()) not in wanted:
            wanted.add(name)
            pending += specs[name].needs
    return [stage for stage in listed if stage[0].name in wanted]


def _run_within(
    context: Context, spec: StageSpec, run: Callable[[StageWriter], None], out: StageWriter
) -> None:
    with context.reading(spec):
        run(out)


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
        plays: Played | None = None,
    ) -> Stage:
        spec = StageSpec(name, needs, makes, external, reads, _tasks(plays))
        return spec, functools.partial(run, context)

    shown = () if config.demonstrations is None else (config.demonstrations,)
    given = config.explore.trajectories
    explored = () if given is None else (given,)
    least = ("evaluate.success_threshold",)
    files = ("demonstrations", "explore.trajectories")
    chosen_by = ("tasks", "environment", *files, *(least if shown else ()))
    yield stage(
        "tasks",
        choose.tasks,
        makes=choose.FILES,
        external=(*shown, *explored, *config.environment.files),
        reads=chosen_by,
    )
    shows = (*PLAYS, "decoding.thought", "demonstrations", *least)
    shown_of: tuple[tuple[str, Callable[[Context, StageWriter], None], Played], ...] = (
        ("demonstrations", demonstrate.demonstrations, "demonstrations"),
        ("ceiling_demonstrations", demonstrate.ceiling_demonstrations, "explore"),
    )
    for name, run, played in shown_of:
        yield stage(name, run, "tasks", external=shown, reads=shows, plays=played)
    if config.weak.architecture or config.strong.architecture:
        seen = ("demonstrations", *(("random_play",) if config.strong.pretrain else ()))
        make = functools.partial(learn.tokenizer, seen=seen)
        yield stage("tokenizer", make, *seen, makes=("model/tokenizer.json",), reads=("tokenizer",))
    if config.strong.pretrain is not None:
        games = ("strong.pretrain.games", "strong.pretrain.max_steps", "tasks.seed", "prompt")
        drawn = (*games, "seeds.random_play")
        yield stage("random_play", play.random_play, "tasks", reads=drawn)
        yield stage(
            "pretrain",
            learn.pretrain,
            "random_play",
            "tokenizer",
            makes=MODEL,
            external=outside(config.strong),
            reads=(*FITS, *model_keys("strong"), "strong.pretrain.optimisation", "seeds.pretrain"),
        )
    if config.explore.samplings is None:
        reads = (*PLAYS, "explore.trajectories")
        run = play.explored_before
        yield stage("explore", run, "tasks", external=explored, reads=reads, plays="explore")
    yield from _explorations(context)
    reads = ("merge", "search", *EXPLORED_KEYS)
    yield stage("tree", tree.tree, "explore", makes=tree.FILES, reads=reads)
    yield stage(
        "recombine",
        recombine.recombine,
        "explore",
        makes=played_paths.FILES,
        reads=("environment", "recombine", *EXPLORED_KEYS),
    )
    yield stage(
        "plain_search",
        plain_search.plain_search,
        "tasks",
        makes=played_paths.FILES,
        reads=(*PLAYS, "plain_search", "seeds.plain_search"),
        plays="explore",
    )
    yield stage(
        "continuations",
        continuations.continuations,
        *("explore", "tree", sft.WEAK.name),
        makes=continuations.FILES,
        reads=(
            *PLAYS,
            *GENERATES,
            "continuations",
            "seeds.continuations",
            "weak.served",
            *EXPLORED_KEYS,
        ),
    )
    if getattr(config, failure_sft.METHOD.name, None) is not None:
        masked = ("failure_sft.runs", "failure_sft.min_return", "failure_sft.replay_budget")
        yield stage(
            "replayed_masks",
            replayed_masks.replayed_masks,
            *("explore", "tree"),
            makes=replayed_masks.FILES,
            reads=("environment", *least, *EXPLORED_KEYS, *masked),
        )
    yield stage(
        "report",
        measure.report,
        *_told_of(context),
        makes=measure.FILES,
        external=measure.outside(context.run_dir),
        reads=("",),
    )


def _told_of(context: Context) -> tuple[str, ...]:
    """What the report reads: trainings, what is shown of their rows and runs, what was played."""
    config = context.config
    methods = config.methods()
    trained = (method.name for method in methods if method.train is not None)
    shown = (stage for method in methods for stage in shown_of(method, config))
    evaluations = (f"evaluate_{method.name}" for method in methods)
    return tuple(dict.fromkeys(("tasks", "explore", "tree", *trained, *shown, *evaluations)))


def _explorations(context: Context) -> Iterator[Stage]:
    """What models play of themselves, each where it has samplings."""
    known = inputs_of(context.config)
    for explorer in play.EXPLORERS:
        samplings = explorer.samplings(context.config)
        if samplings is None:
            continue
        spec = StageSpec(
            explorer.stage,
            ("tasks", explorer.model_stage),
            PLAYED,
            reads=(
                *PLAYS,
                *GENERATES,
                *explorer.reads(context.config),
                f"seeds.{explorer.stage}",
                f"{explorer.role}.served",
            ),
            files=_tasks(explorer.part),
        )
        if any(sampling.model == "base" for sampling in samplings):
            # The model as its training finds it plays too.
            base = known[f"{explorer.role}_start"]
            more = () if explorer.role == "weak" else (*model_keys("strong"), "strong.pretrain")
            spec = replace(
                spec,
                needs=(*spec.needs, *base.stages),
                external=base.external,
                reads=tuple(dict.fromkeys((*spec.reads, *base.reads, *more))),
            )
        yield spec, functools.partial(play.explore, context, explorer=explorer)


def _of_methods(context: Context) -> Iterator[Stage]:
    """What each method is trained on, and its evaluation."""
    for method in context.config.methods():
        if method.train is not None:
            yield _training(context, method)
        yield _evaluation(context, method)


def _training(context: Context, method: Method) -> Stage:
    inputs = inputs_for(method, context.config)
    sources = inputs.values()
    spec = StageSpec(
        method.name,
        needs=tuple(dict.fromkeys(stage for source in sources for stage in source.stages)),
        makes=MODEL,
        external=tuple(folder for source in sources for folder in source.external),
        reads=(
            *FITS,
            method.settings_at or method.name,
            f"seeds.{method.name}",
            *(key for source in sources for key in source.reads),
        ),
    )
    return spec, functools.partial(learn.train, context, method=method, inputs=inputs)


def _evaluation(context: Context, method: Method) -> Stage:
    needs: tuple[str, ...] = ("tasks",)
    reads: tuple[str, ...] = (*PLAYS, "seeds.evaluate")
    if method.model is not None:
        needs = (*needs, method.model)
        reads = (*reads, *GENERATES, f"{role_of(method.model)}.served")
    makes: tuple[str, ...] = PLAYED
    if method.drawn is not None:
        makes, reads = (*PLAYED, play.SAMPLES_FILE), (*reads, method.name)
    files = _tasks("evaluated")
    spec = StageSpec(f"evaluate_{method.name}", needs, makes, reads=reads, files=files)
    return spec, functools.partial(play.evaluate, context, method=method)


def _tasks(part: Played | None) -> Mapping[str, tuple[str, ...]]:
    """What is read of the stage `tasks`, for `StageSpec.files`."""
    return {} if part is None else {"tasks": (file_of(part),)}
