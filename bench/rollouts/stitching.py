"""python -m bench.rollouts.stitching RUN_DIR: what environment steps buy, spent in five ways.

    python -m bench.rollouts.stitching runs/quickstart [--budgets 100,200,400,600] [--tasks 60]
                                       [--seed 0] [--json FILE]

The explored runs of a finished run are combined, branched from, and followed by more runs of its
weak model, at equal budgets of environment steps a task (`bench/rollouts/arms.py`). Scores: the
best return of an episode, and the best score that one had on its way: a recombined path ends there.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path

from bench.rollouts.arms import rows
from w2stree.experiment.config import load_config
from w2stree.policies.transformers import TransformersPolicy
from w2stree.training.models import load_model
from w2stree.trajectories.files import read_trajectories


def main() -> None:
    options = _arguments()
    config = load_config(options.run_dir / "config.json")
    assert config.explore.samplings is not None
    runs = read_trajectories(options.run_dir / "explore" / "trajectories.jsonl")
    tasks = list(dict.fromkeys(run.task_id for run in runs))[: options.tasks]
    runs = [run for run in runs if run.task_id in set(tasks)]
    model = load_model(options.run_dir / "sft_weak" / "model")
    policy = TransformersPolicy(*model, decoding=config.decoding)
    started = time.perf_counter()
    found = []
    print("| arm | budget | best return | best on the way | solved | steps |")
    print(f"|{'---|' * 6}")
    with config.environment.pool() as pool:
        for row in rows(
            pool,
            runs,
            policy,
            config.explore.samplings,
            budgets=options.budgets,
            seed=options.seed,
            instruction=config.prompt.instruction,
        ):
            found.append(row)
            print(
                f"| {row.arm} | {row.budget} | {row.best_return:.3f} | {row.best_on_the_way:.3f} "
                f"| {row.num_solved} of {row.num_tasks} | {row.num_steps:.0f} |",
                flush=True,
            )
    seconds = time.perf_counter() - started
    print(f"{seconds:.0f} s")
    if options.json:
        record = {"run_dir": str(options.run_dir), "seed": options.seed, "seconds": seconds}
        record["rows"] = [asdict(row) for row in found]
        options.json.write_text(json.dumps(record, indent=1) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run_dir", type=Path)
    parser.add_argument(
        "--budgets",
        type=lambda text: [int(number) for number in text.split(",")],
        default=[100, 200, 400, 600],
    )
    parser.add_argument("--tasks", type=int, help="the first so many of the explored tasks")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
