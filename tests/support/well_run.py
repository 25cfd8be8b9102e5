"""A run directory that is well: what a run of the shipped `miniature` left, its models left out.

Too small to be well, it is made well: its episodes are the environment's expert's, with noise, its
trainings' figures say that it learned.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.environments.options import TextWorldExpressOptions
from w2stree.experiment.parts import Parts
from w2stree.experiment.run_json import write_json
from w2stree.policies.expert import ExpertPolicy
from w2stree.policies.protocol import Sampling
from w2stree.rollouts.rollout import EpisodePlan, rollout
from w2stree.rollouts.task_choice import Chosen
from w2stree.trajectories.files import read_trajectories, write_trajectories
from w2stree.trajectories.trajectory import Trajectory

MINIATURE = Path(__file__).parents[1] / "experiment" / "miniature_run"
GAME = {"numLocations": 1, "numIngredients": 1, "numDistractorItems": 1, "includeDoors": 0}
OPTIONS = TextWorldExpressOptions(game="cookingworld", params=GAME, max_steps=30, num_processes=1)
EXPLORED = [f"cookingworld/train/{i}" for i in range(6)]
TESTED = [f"cookingworld/dev/{i}" for i in range(10_000, 10_060)]
"""A third of them open as a task explored does: a seed is no task."""


def play(
    pool: EnvironmentPool, policy: Any, task_ids: Sequence[str], num_samples: int = 1
) -> list[Trajectory]:
    plans = [EpisodePlan(t, k, Sampling(), 5) for t in task_ids for k in range(num_samples)]
    return list(rollout(pool, policy, plans, instruction=""))


def well_run(run: Path, pool: EnvironmentPool) -> Path:
    """In a folder that is not there yet: nothing in it is a symptom."""
    shutil.copytree(MINIATURE, run)
    keep(run, "explore", play(pool, ExpertPolicy(noise=0.25), EXPLORED, 8))
    learned = {t.prompt for stage in ("explore", "demonstrations") for t in read(run, stage)}
    tested = play(pool, ExpertPolicy(noise=0.1), TESTED)
    tested = [t for t in tested if t.prompt not in learned][:30]
    assert len(tested) == 30
    for folder in run.glob("evaluate_*"):
        keep(run, folder.name, tested)
    set_panels(run, test=[t.task_id for t in tested])
    for stage in ("sft_weak", "sft_strong"):
        set_metrics(run, stage, mean_token_accuracy=0.9, loss_after=0.3)
    set_metrics(run, "tree_dpo", reward_accuracy=0.8, num_used_rows=40, loss_after=0.4)
    set_metrics(run, "mcts_sft", loss_after=0.3)
    won = [t for t in read(run, "explore") if t.total_return >= 1.0]
    write_trajectories(run / "tree" / "best_paths.jsonl", won[:4])
    set_rewards(run, [0.01 * i for i in range(20)])
    return run


def keep(run: Path, stage: str, runs: list[Trajectory]) -> None:
    write_trajectories(run / stage / "trajectories.jsonl", runs)


def read(run: Path, stage: str) -> list[Trajectory]:
    return list(read_trajectories(run / stage / "trajectories.jsonl"))


def those_tested(run: Path) -> list[str]:
    return [t.task_id for t in read(run, "evaluate_sft_strong")]


def set_panels(run: Path, **panels: Sequence[str]) -> None:
    """As the stage `tasks` records them."""
    chosen = {name: Chosen({task_id: task_id for task_id in ids}) for name, ids in panels.items()}
    (run / "tasks").mkdir(exist_ok=True)
    shutil.copy(run / "tree" / "manifest.json", run / "tasks" / "manifest.json")
    write_json(run / "tasks" / "tasks.json", Parts(Chosen(), Chosen(), chosen).to_record())


def set_metrics(run: Path, stage: str, **metrics: float) -> None:
    """Keys that the pipeline wrote there."""
    file = run / stage / "manifest.json"
    record = json.loads(file.read_text())
    assert record["metrics"].keys() >= metrics.keys(), record["metrics"]
    record["metrics"].update(metrics)
    file.write_text(json.dumps(record))


def set_rewards(run: Path, rewards: Sequence[float]) -> None:
    """As many steps as rewards of the chosen side, the training's first one again and again."""
    file = run / "tree_dpo" / "losses.jsonl"
    step = json.loads(file.read_text().splitlines()[0])
    assert "rewards/chosen" in step
    lines = [json.dumps({**step, "step": i, "rewards/chosen": r}) for i, r in enumerate(rewards)]
    file.write_text("".join(f"{line}\n" for line in lines))
