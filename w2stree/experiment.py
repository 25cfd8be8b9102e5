"""Weak-to-strong, stage by stage: the method of the paper as files that lead to files.

random_play ─> pretrain ─┐
   └─> tokenizer <┐      ├─> sft_strong ─┬─────────> tree_dpo ─┐
demonstrations ───┴──────┴─> sft_weak    │             ^       ├─> evaluate_* ─> report
                                └─> explore ─> tree ───┼─> mcts_sft
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

from w2stree.config import Config
from w2stree.environments.java import java_home_bin
from w2stree.environments.textworld_express import FOLD_SIZE, refuse_unknown_game
from w2stree.errors import InvalidInput
from w2stree.plots import require_matplotlib
from w2stree.run_directory import RunDirectory, StageSpec, StageWriter, run_stages
from w2stree.stages import learn, measure, play
from w2stree.stages.context import METHODS, Context

Stage = tuple[StageSpec, Callable[[StageWriter], None]]


def run_experiment(
    config: Config,
    run_dir: Path,
    *,
    force: Sequence[str] = (),
    announce: Callable[[str, str], None],
) -> Path:
    """Run every stage that is missing or out of date; returns the report's folder.

    Interrupting leaves finished stages as they are: run again to go on. Raises
    `RunDirectoryError` where another configuration made `run_dir`, `InvalidInput` and
    `MissingDependency` before any stage runs where that can be known.
    """
    _check(config)
    directory = RunDirectory(run_dir, config.model_dump(mode="json"))
    context = Context(config, run_dir)
    learn.use_threads(config.num_threads)
    try:
        run_stages(directory, stages(context), seed=config.seed, force=force, announce=announce)
    finally:
        context.close()
    return directory.stage("report")


def stages(context: Context) -> list[Stage]:
    """All stages in the order they run."""
    config = context.config
    has_tokenizer = bool(config.weak.architecture or config.strong.architecture)
    is_pretrained = config.strong.pretrain is not None
    listed: list[Stage] = []

    def add(name: str, run: Callable[..., None], *needs: str, **bound: str) -> None:
        present = {spec.name for spec, _ in listed}
        spec = StageSpec(name, tuple(need for need in needs if need in present))
        listed.append((spec, functools.partial(run, context, **bound)))

    add("demonstrations", play.demonstrations)
    if is_pretrained:
        add("random_play", play.random_play)
    if has_tokenizer:
        add("tokenizer", learn.tokenizer, "demonstrations", "random_play")
    add("sft_weak", learn.sft, "demonstrations", "tokenizer", role="weak")
    if is_pretrained:
        add("pretrain", learn.pretrain, "random_play", "tokenizer")
    add("sft_strong", learn.sft, "demonstrations", "tokenizer", "pretrain", role="strong")
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


def _check(config: Config) -> None:
    """What would otherwise fail minutes into the run."""
    refuse_unknown_game(config.environment.game)
    for game in config.strong.pretrain.games if config.strong.pretrain else ():
        refuse_unknown_game(game.game)
    num_train = config.tasks.demonstrations + config.tasks.explore
    if max(num_train, config.tasks.test) > FOLD_SIZE:
        raise InvalidInput(
            f"tasks: demonstrations + explore is {num_train} and test is {config.tasks.test}; "
            f"a fold has {FOLD_SIZE} tasks"
        )
    java_home_bin()
    require_matplotlib()
