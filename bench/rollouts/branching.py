"""python -m bench.rollouts.branching RUN_DIR: what branching finds out, by the environment step.

    python -m bench.rollouts.branching runs/twc_three [--tasks 40] [--skip 0] [--budget 90]
                        [--seeds 5] [--check 32] [--arms restarts,information] [--json FILE]

The weak model of a run plays on from the tasks that it explored, in each of several ways
(`bench/rollouts/branching_arms.py`), every one for `--budget` environment steps a task. What is
counted is said in `bench/rollouts/outcomes.py`. Intervals are of 95 %, over tasks: tasks are drawn
again, with what all seeds made of them (seeds move the draws of the episodes, nothing else).

`--check N` plays N runs more from either action of every informative pair that was found. Those
that they confirm, less those that they turn round, are the arm's **true** pairs: one that is no
better than a coin's toss comes to nothing.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from bench.rollouts.arms import finished
from bench.rollouts.branching_arms import (
    Cell,
    Choice,
    Played,
    Runs,
    planned_once,
    play,
    random_nodes,
    replanned,
    restarts,
)
from bench.rollouts.pair_check import PairCheck
from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.experiment.config import load_config
from w2stree.forest.build import build_forest
from w2stree.policies.protocol import Policy, Sampling
from w2stree.policies.transformers import TransformersPolicy
from w2stree.rollouts.branching import Criterion
from w2stree.rollouts.informative_pairs import estimated_prior_runs
from w2stree.rows.confidence import Posterior, spread
from w2stree.training.models import load_model
from w2stree.trajectories.files import read_trajectories

Floats = NDArray[np.float64]

BASELINES = ("restarts", "random nodes")
ARMS = (
    *BASELINES,
    *get_args(Criterion),
    *(f"{criterion} replanned" for criterion in get_args(Criterion)),
)
_NUM_BOOTSTRAP = 10_000


@dataclass(frozen=True, slots=True)
class ArmResult:
    """`cells` are [seed][task]."""

    arm: str
    cells: list[list[Cell]]
    seconds: float

    def of(self, name: str) -> Floats:
        """A count of the cells, or `num_true`: (num_seeds, num_tasks)."""
        if name == "num_true":
            return self.of("num_confirmed") - self.of("num_reversed")
        return np.array([[getattr(cell, name) for cell in row] for row in self.cells], float)


def choice_of(arm: str, explored: Runs, samplings: Sequence[Sampling], seed: int) -> Choice:
    if arm == "restarts":
        return restarts(samplings, seed)
    if arm == "random nodes":
        return random_nodes(explored, samplings, seed)
    criterion: Any = arm.removesuffix(" replanned")
    if arm == criterion:
        return planned_once(explored, samplings, seed, criterion)
    return replanned(samplings, seed, criterion)


def results(
    pool: EnvironmentPool,
    policy: Policy,
    explored: Runs,
    samplings: Sequence[Sampling],
    *,
    arms: Sequence[str],
    budget: int,
    seeds: Sequence[int],
    num_checked: int,
    instruction: str = "",
) -> Iterator[ArmResult]:
    """One arm after the other; the posterior is the same for all, by the explored runs alone."""
    runs = [run for of_task in explored.values() for run in of_task]
    posterior = Posterior(sd=spread(build_forest(runs)))
    checking = PairCheck(pool, policy, samplings, num_runs=num_checked, instruction=instruction)
    for arm in arms:
        started = time.perf_counter()
        by_seed = [
            play(
                pool,
                policy,
                explored,
                choice_of(arm, explored, samplings, seed),
                posterior=posterior,
                budget=budget,
                instruction=instruction,
            )
            for seed in seeds
        ]
        if num_checked:
            by_seed = [_checked(checking, played) for played in by_seed]
        cells = [[played[task].cell for task in explored] for played in by_seed]
        yield ArmResult(arm, cells, time.perf_counter() - started)


def _checked(checking: PairCheck, by_task: Mapping[str, Played]) -> dict[str, Played]:
    """With the numbers of pairs confirmed and reversed."""
    checking.play((pair, of.runs) for of in by_task.values() for pair in of.found)
    found = {}
    for task, of in by_task.items():
        verdicts = [checking.verdict(task, pair) for pair in of.found]
        cell = replace(of.cell, num_confirmed=verdicts.count(1), num_reversed=verdicts.count(-1))
        found[task] = replace(of, cell=cell)
    return found


def rate(counted: Floats, paid: Floats, *, per: float = 1.0) -> float:
    return per * float(counted.sum() / paid.sum())


def ratio_ci95(
    counted: Floats, paid: Floats, its_counted: Floats, its_paid: Floats, *, seed: int = 0
) -> tuple[float, float]:
    """Of one arm's rate over another's, each (num_seeds, num_tasks) on the same tasks: tasks are
    drawn again, the same for both. Infinite at the end where the other's rate may be nothing."""
    columns = [of.sum(axis=0) for of in (counted, paid, its_counted, its_paid)]
    num_tasks = len(columns[0])
    drawn = np.random.default_rng(seed).integers(num_tasks, size=(_NUM_BOOTSTRAP, num_tasks))
    one, its_steps, other, other_steps = (column[drawn].sum(axis=1) for column in columns)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(other > 0, one * other_steps / (other * its_steps), np.inf)
    low, high = np.quantile(ratios, [0.025, 0.975], method="nearest")
    return float(low), float(high)


def table(found: Sequence[ArmResult]) -> list[str]:
    """By the 1,000 environment steps; ratios, of true pairs where they are checked, else of
    informative ones, by environment steps, and (last) by the policy's own."""
    by_arm = {one.arm: one for one in found}
    baselines = [by_arm[name] for name in BASELINES if name in by_arm]
    is_checked = any(one.of("num_confirmed").any() for one in found)
    counted = "num_true" if is_checked else "num_informative"
    header = ["arm", "steps", "own", "outcome differs", "pairs of runs", "informative"]
    header += ["confirmed", "reversed", "true"]
    header += [f"times {one.arm}" for one in baselines]
    header += [f"own steps: times {one.arm}" for one in baselines[:1]]
    lines = [f"| {' | '.join(header)} |", f"|---|{'---:|' * (len(header) - 1)}"]
    for one in found:
        steps, own = one.of("num_steps"), one.of("num_own_steps")
        row = [
            one.arm,
            f"{steps.mean():.0f}",
            f"{own.mean():.0f}",
            f"{rate(one.of('differing'), one.of('num_episodes')):.3f}",
            f"{rate(one.of('num_run_pairs'), steps, per=1000):.0f}",
            f"{rate(one.of('num_informative'), steps, per=1000):.2f}",
            f"{one.of('num_confirmed').sum():.0f}",
            f"{one.of('num_reversed').sum():.0f}",
            f"{rate(one.of('num_true'), steps, per=1000):.2f}",
            *(_times(one, base, counted, "num_steps") for base in baselines),
            *(_times(one, base, counted, "num_own_steps") for base in baselines[:1]),
        ]
        lines.append(f"| {' | '.join(row)} |")
    return lines


def _times(one: ArmResult, base: ArmResult, name: str, paid: str) -> str:
    its = rate(base.of(name), base.of(paid))
    if one is base or its <= 0:
        return "1" if one is base else "-"
    low, high = ratio_ci95(one.of(name), one.of(paid), base.of(name), base.of(paid))
    return f"{rate(one.of(name), one.of(paid)) / its:.2f} [{low:.2f}, {high:.2f}]"


def main() -> None:
    options = _arguments()
    config = load_config(options.run_dir / "config.json")
    samplings = config.explore.samplings
    assert samplings is not None
    runs = finished(read_trajectories(options.run_dir / "explore" / "trajectories.jsonl"))
    tasks = list(runs)[options.skip : options.skip + options.tasks]
    explored = {task: runs[task] for task in tasks}
    model = load_model(options.run_dir / "sft_weak" / "model")
    policy = TransformersPolicy(*model, decoding=config.decoding)
    forest = build_forest([run for of_task in explored.values() for run in of_task])
    print(
        f"spread {spread(forest):.3f}; prior runs by the data: {estimated_prior_runs(forest):.1f}"
    )
    found = []
    with config.environment.pool() as pool:
        for one in results(
            pool,
            policy,
            explored,
            samplings,
            arms=options.arms,
            budget=options.budget,
            seeds=range(options.seeds),
            num_checked=options.check,
            instruction=config.prompt.instruction,
        ):
            found.append(one)
            print(f"{one.arm}: {one.seconds:.0f} s", flush=True)
            if options.json:
                options.json.write_text(json.dumps(_record(options, found), indent=1) + "\n")
    print("\n".join(table(found)))


def _record(options: argparse.Namespace, found: Sequence[ArmResult]) -> Mapping[str, Any]:
    of_a_machine = ("json", "run_dir")
    settings = {name: value for name, value in vars(options).items() if name not in of_a_machine}
    return {
        "run": options.run_dir.name,
        "settings": settings,
        "arms": [asdict(one) for one in found],
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--tasks", type=int, default=40, help="so many of the explored tasks")
    parser.add_argument("--skip", type=int, default=0, help="after so many first ones")
    parser.add_argument("--budget", type=int, default=90, help="environment steps a task")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--check", type=int, default=0, help="runs from each action")
    parser.add_argument("--arms", type=_arms, default=list(ARMS))
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def _arms(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if unknown := [name for name in names if name not in ARMS]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {'; '.join(ARMS)}")
    return names


if __name__ == "__main__":
    main()
