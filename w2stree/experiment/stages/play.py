"""Stages that play episodes: demonstrations, random play, exploration, evaluation; and the tree."""

from __future__ import annotations

import hashlib
import json
import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from w2stree.environments.hosting.process import EnvironmentProcess
from w2stree.errors import EnvironmentFailure, IdenticalTrajectories
from w2stree.experiment.config.environment import TextWorldExpressSection
from w2stree.experiment.run_directory import StageWriter, hash_files, write_json
from w2stree.experiment.stages.context import Context
from w2stree.forest.forest import Forest
from w2stree.forest.pairs import PreferencePairs
from w2stree.policies.protocol import Sampling
from w2stree.policies.random import RandomPolicy
from w2stree.policies.transformers import TransformersPolicy
from w2stree.rollouts.exploration import Exploration, plan_episodes
from w2stree.rollouts.rollout import EpisodePlan, opening
from w2stree.training.models import load_model
from w2stree.training.rows import preference_rows
from w2stree.trajectories.files import read_trajectories, write_trajectories
from w2stree.trajectories.journal import Journal
from w2stree.trajectories.trajectory import Status, Step, Trajectory
from w2stree.turns.react import render_turn

GREEDY = Sampling(temperature=0.0)


def demonstrations(context: Context, out: StageWriter) -> None:
    """Expert trajectories on the demonstration tasks."""
    _record(out, _demonstrate(context, "demonstrations", context.tasks("demonstrations")))


def ceiling_demonstrations(context: Context, out: StageWriter) -> None:
    """Expert trajectories on the tasks explored too: what the ceiling model may see."""
    _record(out, _demonstrate(context, "ceiling_demonstrations", context.tasks("explore")))


def random_play(context: Context, out: StageWriter) -> None:
    """Random play over the pretraining games; rewards are recorded but never used."""
    pretrain = context.config.strong.pretrain
    assert pretrain is not None
    trajectories: list[Trajectory] = []
    # No model to batch for: four processes an engine keep two cores busy, and start fast.
    for game in pretrain.games:
        tasks = [f"{game.game}/train/{seed}" for seed in range(game.episodes)]
        section = TextWorldExpressSection(
            game=game.game, params=game.params, max_steps=pretrain.max_steps, num_processes=4
        )
        with section.pool() as pool:
            wanted = plan_episodes(tasks, [Sampling()], seed=context.seed("random_play"))
            policy = RandomPolicy(by_verb=True)
            trajectories += context.play(f"random_play {game.game}", pool, policy, wanted)
    _record(out, trajectories)


def explore(context: Context, out: StageWriter) -> None:
    """The weak model plays every exploration task under M sampling configurations.

    Episodes are kept in a journal until the stage is complete: a killed run goes on with it.
    """
    samplings = [Sampling(s.temperature, s.top_p) for s in context.config.explore.samplings]
    wanted = plan_episodes(context.tasks("explore"), samplings, seed=context.seed("explore"))
    policy = _policy(context, "sft_weak")
    path = _journal_of_model(context, context.model_dir("sft_weak"))
    started = time.perf_counter()
    with (
        Journal(path) as journal,
        context.bar.steps("explore episodes") as update,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", IdenticalTrajectories)  # the tree stage tells of them
        Exploration(
            journal,
            context.pool(),
            lambda _: policy,
            instruction=context.config.prompt.instruction,
            progress=lambda state: update(state.num_settled, state.num_planned, {}),
        ).play(wanted)
    seconds = time.perf_counter() - started
    _record(out, read_trajectories(path))
    out.metrics["generated_tokens_per_s"] = policy.num_generated_tokens / seconds
    out.outlived.append(path)


def evaluate(context: Context, out: StageWriter, method: str) -> None:
    """One greedy episode of every test task."""
    wanted = plan_episodes(context.tasks("test"), [GREEDY], seed=context.seed("evaluate"))
    stage = f"evaluate_{method}"
    if method == "random":
        _record(out, context.play(stage, context.pool(), RandomPolicy(), wanted))
    else:
        _play_model(context, out, stage, method, wanted)


def tree(context: Context, out: StageWriter) -> None:
    """The forest's statistics and drawings, TreeDPO's pairs and MCTS's best paths."""
    config = context.config
    forest = context.forest()
    pairs = forest.pairs(min_gap=config.tree_dpo.min_gap)
    result = forest.search(
        num_simulations=config.search.num_simulations,
        exploration=config.search.exploration,
        stop_arm=config.search.stop_arm,
    )
    best = result.best_trajectories()
    write_trajectories(out.folder / "best_paths.jsonl", best)
    (out.folder / "trees.txt").write_text(
        "\n\n".join(f"{forest[task]}" for task in forest.task_ids) + "\n", encoding="utf-8"
    )
    summary = forest_statistics(forest, pairs, best, config.tree_dpo.completion)
    write_json(out.folder / "forest.json", summary)
    out.metrics.update(summary)


def forest_statistics(
    forest: Forest, pairs: PreferencePairs, best: Sequence[Trajectory], completion: Any
) -> dict[str, Any]:
    """The forest's summary, and what the two signals make of it."""
    returns = [t.total_return for t in forest.trajectories]
    return {
        **asdict(forest.summary()),
        "mean_return": sum(returns) / len(returns),
        "best_path_mean_return": sum(t.total_return for t in best) / len(best),
        "num_preference_rows": len(preference_rows(pairs, completion)),
    }


def _journal_of_model(context: Context, model_dir: Path) -> Path:
    """Where this model's episodes are kept; those of an earlier one are deleted."""
    fingerprint = hashlib.sha256(json.dumps(hash_files(model_dir)).encode("utf-8")).hexdigest()
    path = context.run_dir / f".explore-{fingerprint[:12]}.journal"
    for other in context.run_dir.glob(".explore-*.journal"):
        if other != path:
            other.unlink()
    return path


def _policy(context: Context, model_stage: str) -> TransformersPolicy:
    config = context.config
    model, tokenizer = load_model(context.model_dir(model_stage))
    return TransformersPolicy(
        model,
        tokenizer,
        decoding=config.decoding.actions,
        has_thought=config.prompt.thought,
        max_new_tokens=config.decoding.max_new_tokens,
    )


def _play_model(
    context: Context, out: StageWriter, stage: str, model_stage: str, wanted: Sequence[EpisodePlan]
) -> None:
    policy = _policy(context, model_stage)
    started = time.perf_counter()
    trajectories = context.play(stage, context.pool(), policy, wanted)
    seconds = time.perf_counter() - started
    _record(out, trajectories)
    out.metrics["generated_tokens_per_s"] = policy.num_generated_tokens / seconds


def _demonstrate(context: Context, stage: str, tasks: Sequence[str]) -> list[Trajectory]:
    """Of tasks whose solution is longer than the step limit there is no demonstration."""
    environment = context.pool()[0]
    shown = [
        _demonstration(context, environment, task_id)
        for task_id in context.bar(tasks, total=len(tasks), what=f"{stage} episodes")
    ]
    whole = [t for t in shown if t.status == "done" and t.total_return >= 1.0]
    advice = "raise environment.max_steps for more"
    if not whole:
        raise EnvironmentFailure(f"the expert finishes none of {len(tasks)} tasks; {advice}")
    if len(whole) < len(tasks):
        unfinished = len(tasks) - len(whole)
        warnings.warn(
            f"{stage}: the expert does not finish {unfinished} of {len(tasks)} tasks; {advice}",
            stacklevel=2,
        )
    return whole


def _demonstration(context: Context, environment: EnvironmentProcess, task_id: str) -> Trajectory:
    statement, info = environment.call("reset", task_id)
    prompt = context.config.prompt
    steps: list[Step] = []
    status: Status = "truncated"
    for turn in environment.call("expert"):
        observation, reward, terminated, truncated, info = environment.call("step", turn.action)
        thought = turn.thought if prompt.thought else ""
        response = render_turn(thought, turn.action)
        steps.append(Step(turn.action, observation, response, reward=reward))
        if terminated:
            status = "done"
        if terminated or truncated:
            break
    messages = opening(prompt.instruction, statement)
    return Trajectory(task_id, messages, tuple(steps), info["score"], status, {"policy": "expert"})


def _record(out: StageWriter, trajectories: list[Trajectory]) -> None:
    # Episodes end in any order; the file's is by task, then by sample.
    ordered = sorted(trajectories, key=lambda t: (t.task_id, t.info.get("sample_index", 0)))
    write_trajectories(out.folder / "trajectories.jsonl", ordered)
    scored = [t.total_return for t in ordered if t.status != "error"]
    out.metrics.update(
        num_trajectories=len(ordered),
        num_errors=len(ordered) - len(scored),
        mean_return=sum(scored) / max(1, len(scored)),
        num_steps=sum(len(t.steps) for t in ordered),
    )
