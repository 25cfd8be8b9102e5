"""Weak-to-strong, stage by stage: the method of the paper as files that lead to files.

random_play ─> pretrain ─┐
   └─> tokenizer <┐      ├─> sft_strong ─┬─────────> tree_dpo ─┐
demonstrations ───┴──────┴─> sft_weak    │             ^       ├─> evaluate_* ─> report
                                └─> explore ─> tree ───┼─> mcts_sft
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence
from pathlib import Path

from w2stree.environments.java import java_home_bin
from w2stree.environments.textworld_express import FOLD_SIZE, refuse_unknown_game
from w2stree.errors import InvalidInput
from w2stree.experiment.config import Config
from w2stree.experiment.config.environment import TextWorldExpressSection
from w2stree.experiment.run_directory import RunDirectory, StageSpec, StageWriter, run_stages
from w2stree.experiment.stages import learn, measure, play
from w2stree.experiment.stages.bar import Bar, Silent
from w2stree.experiment.stages.context import METHODS, Context
from w2stree.report.charts import require_matplotlib

Stage = tuple[StageSpec, Callable[[StageWriter], None]]


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
    _check(config)
    context = Context(config, run_dir, bar or Silent())
    listed = stages(context)
    _check_forced(force, [spec.name for spec, _ in listed])
    directory = RunDirectory(run_dir, config.model_dump(mode="json"))
    learn.use_threads(config.num_threads)
    with directory.lock(), contextlib.closing(context):
        run_stages(directory, listed, seed=config.seed, force=force, announce=announce)
    return directory.stage("report")


def stages(context: Context) -> list[Stage]:
    """All stages in the order they run."""
    config = context.config
    has_tokenizer = bool(config.weak.architecture or config.strong.architecture)
    is_pretrained = config.strong.pretrain is not None
    weak_path, strong_path = (
        (section.path,) if section.path else () for section in (config.weak, config.strong)
    )
    listed: list[Stage] = []

    def add(
        name: str,
        run: Callable[..., None],
        *needs: str,
        external: tuple[Path, ...] = (),
        **bound: str,
    ) -> None:
        present = {spec.name for spec, _ in listed}
        spec = StageSpec(name, tuple(need for need in needs if need in present), external)
        listed.append((spec, functools.partial(run, context, **bound)))

    add("demonstrations", play.demonstrations)
    if is_pretrained:
        add("random_play", play.random_play)
    if has_tokenizer:
        add("tokenizer", learn.tokenizer, "demonstrations", "random_play")
    add("sft_weak", learn.sft, "demonstrations", "tokenizer", external=weak_path, role="weak")
    if is_pretrained:
        add("pretrain", learn.pretrain, "random_play", "tokenizer", external=strong_path)
    before_strong = ("demonstrations", "tokenizer", "pretrain")
    add("sft_strong", learn.sft, *before_strong, external=strong_path, role="strong")
    add("explore", play.explore, "sft_weak")
    add("tree", play.tree, "explore")
    add("tree_dpo", learn.tree_dpo, "explore", "tree", "sft_weak", "sft_strong")
    add("mcts_sft", learn.mcts_sft, "tree", "sft_strong", "demonstrations")
    add("ceiling_demonstrations", play.ceiling_demonstrations)
    add("ceiling", learn.ceiling, "ceiling_demonstrations", "sft_strong", "demonstrations")
    for method in METHODS:
        add(f"evaluate_{method}", play.evaluate, method, method=method)
    add("report", measure.report, "explore", "tree", *(f"evaluate_{m}" for m in METHODS))
    return listed


def _check_forced(force: Sequence[str], names: Sequence[str]) -> None:
    for name in force:
        if name not in names:
            raise InvalidInput(f"--force {name}: no such stage; stages are {', '.join(names)}")


def _check(config: Config) -> None:
    """What would otherwise fail minutes into the run."""
    config.environment.factory()  # names that cannot be
    for game in config.strong.pretrain.games if config.strong.pretrain else ():
        refuse_unknown_game(game.game)
        if game.episodes > FOLD_SIZE:
            raise InvalidInput(
                f"strong.pretrain.games: {game.game} asks for {game.episodes} episodes; "
                f"a fold has {FOLD_SIZE} tasks"
            )
    tasks, environment = config.tasks, config.environment
    last = max(tasks.demonstrations + tasks.explore, tasks.test_offset + tasks.test)
    is_express = isinstance(environment, TextWorldExpressSection)
    if is_express and last > FOLD_SIZE:
        raise InvalidInput(f"tasks: {last} tasks of one fold are asked for; it has {FOLD_SIZE}")
    if is_express or config.strong.pretrain:
        java_home_bin()
    require_matplotlib()
