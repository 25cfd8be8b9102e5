"""python -m bench.rollouts.bisection [--faults 50] [--noise 0.2]: does bisect name planted faults?

Faults are planted in text games (`bench/rollouts/planted_faults.py`). Each is looked for by playing
(`rollouts.bisection`), by the runs alone (`forest.flips`), and by what one would try first: the
step at which the run leaves the task's best run, and the last step after which no run succeeds.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from bench.rollouts.outcomes import num_shared
from bench.rollouts.planted_faults import GAMES, NOISE, Planted, planted
from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.environments.textworld_express import TextWorldExpress
from w2stree.forest.build import build_forest
from w2stree.forest.flips import flips_of
from w2stree.policies.expert import ExpertPolicy
from w2stree.rollouts.bisection import Bisected, Bisection


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.rollouts.bisection")
    parser.add_argument("--faults", type=int, default=50)
    parser.add_argument("--noise", type=float, default=NOISE, help="of who plays on")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    started, rows = time.perf_counter(), []
    for row in found(options.faults, options.noise):
        rows.append(row)
        print(json.dumps(row), flush=True)
    print(f"\n{summary(rows)}\n{time.perf_counter() - started:.0f} s")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


def found(num_faults: int, noise: float) -> Iterator[dict[str, Any]]:
    """A record for each fault, the games by turns as equally as it comes out."""
    for i, (game, params, max_steps) in enumerate(GAMES):
        most = num_faults // len(GAMES) + (i < num_faults % len(GAMES))
        factory = partial(TextWorldExpress, game, params, max_steps=max_steps)
        task_ids = [f"{game}/train/{number}" for number in range(1000)]
        with EnvironmentPool(factory, 1) as pool:
            for number, fault in enumerate(planted(pool, task_ids), start=1):
                yield {"game": game, "max_steps": max_steps, **named(pool, fault, noise)}
                if number == most:
                    break


def named(pool: EnvironmentPool, fault: Planted, noise: float) -> dict[str, Any]:
    """Which step each way names."""
    run = fault.runs[0]
    tree = build_forest(fault.runs)[run.task_id]
    flips = flips_of(tree, 1.0, run=0)
    likely = flips[0].step if flips else None
    bisected = bisect(pool, fault, likely, noise)
    measured = bisected.measured
    return {
        "task": run.task_id,
        "steps": len(run.steps),
        "num_success": sum(r.total_return >= 1.0 for r in fault.runs),
        "planted": fault.step,
        "by playing": bisected.step,
        "verdict": None if measured is None else measured.verdict,
        "why_not": bisected.why_not,
        "by the runs": likely,
        "leaves the best run": 1 + leaves_best(fault),
        "last with a success": 1 + last_with_success(fault),
        "episodes": bisected.num_episodes,
        "environment_steps": bisected.num_environment_steps,
    }


def bisect(pool: EnvironmentPool, fault: Planted, likely: int | None, noise: float) -> Bisected:
    with tempfile.TemporaryDirectory() as folder:
        return Bisection(
            fault.runs[0],
            likely=likely,
            folder=Path(folder),
            pool=pool,
            policy=lambda _: ExpertPolicy(noise=noise),
            seed=0,
            success_threshold=1.0,
        ).play()


def leaves_best(fault: Planted) -> int:
    """Steps that the run shares with the best one; of equally good ones the first."""
    run, *others = fault.runs
    return num_shared(run, max(others, key=lambda other: other.total_return))


def last_with_success(fault: Planted) -> int:
    """The most steps that it shares with one that succeeded."""
    run, *others = fault.runs
    return max((num_shared(run, o) for o in others if o.total_return >= 1.0), default=0)


def summary(rows: list[dict[str, Any]]) -> str:
    ways = ("by playing", "by the runs", "leaves the best run", "last with a success")
    lines = [f"{way}: {sum(r[way] == r['planted'] for r in rows)} of {len(rows)}" for way in ways]
    return "\n".join([*lines, f"verdicts: {dict(Counter(str(r['verdict']) for r in rows))}"])


if __name__ == "__main__":
    main()
