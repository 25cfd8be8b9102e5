"""python -m bench.evaluation: how often intervals hold and tests err, where the truth is known.

    python -m bench.evaluation [--worlds 1000]

Differences of two methods are drawn again and again: a true difference, what a seed adds to all
tasks, what a task adds with all seeds, and the rest. Counted is how often each 95 % interval holds
the truth, and how often each test finds, at 5 %, a difference that is none; the last also at 0.5 %,
as Holm asks it of the first of ten. One core, minutes.
"""

from __future__ import annotations

import argparse
import itertools
import time

import numpy as np

from w2stree.evaluation import crossed_estimate, resampled_means
from w2stree.evaluation.cells import Floats

NUM_BOOTSTRAP = 400
# Seeds, tasks, and the standard deviations of seeds, tasks and the rest: as measured with
# the quickstart, then without luck of training, then with much of it.
SETTINGS = (
    (2, 200, 0.035, 0.15, 0.33),
    (3, 200, 0.035, 0.15, 0.33),
    (5, 400, 0.035, 0.15, 0.33),
    (10, 400, 0.035, 0.15, 0.33),
    (5, 400, 0.0, 0.15, 0.33),
    (10, 400, 0.0, 0.15, 0.33),
    (5, 400, 0.1, 0.15, 0.33),
    (10, 400, 0.1, 0.15, 0.33),
)
NAMES = ("nested", "crossed", "scaled", "bootstrap p", "sign-flip p", "t-test p", "at 0.005")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=1000)
    num_worlds = parser.parse_args().worlds
    started = time.perf_counter()
    print(f"{'seeds tasks  sd of seeds':<25}", *(f"{name:>12}" for name in NAMES))
    for number, (num_seeds, num_tasks, *spreads) in enumerate(SETTINGS):
        rng = np.random.default_rng(number)
        found = np.zeros(len(NAMES))
        for _ in range(num_worlds):
            found += judged(drawn(rng, num_seeds, num_tasks, *spreads), rng)
        shares = (f"{share:>12.3f}" for share in found / num_worlds)
        print(f"{num_seeds:>5} {num_tasks:>5} {spreads[0]:>12}", " ", *shares, flush=True)
    print(f"{num_worlds} worlds a row, {time.perf_counter() - started:.0f} s")


def drawn(
    rng: np.random.Generator,
    num_seeds: int,
    num_tasks: int,
    seeds: float,
    tasks: float,
    rest: float,
) -> Floats:
    """Differences whose true mean is 0."""
    return np.asarray(
        rng.normal(0, seeds, (num_seeds, 1))
        + rng.normal(0, tasks, (1, num_tasks))
        + rng.normal(0, rest, (num_seeds, num_tasks))
    )


def judged(cells: Floats, rng: np.random.Generator) -> list[bool]:
    """Whether each interval holds 0; whether each test finds a difference."""
    seed = int(rng.integers(2**32))
    crossed = resampled_means(cells[None], num_bootstrap=NUM_BOOTSTRAP, seed=seed)[:, 0]
    scaled = crossed_estimate(cells, num_bootstrap=NUM_BOOTSTRAP, seed=seed)
    assert scaled.p is not None, "several seeds that differ"
    return [
        holds(np.quantile(nested(cells, rng), [0.025, 0.975])),
        holds(np.quantile(crossed, [0.025, 0.975])),
        holds(np.array(scaled.ci95)),
        bool(2 * min((crossed <= 0).mean(), (crossed >= 0).mean()) < 0.05),
        sign_flip(cells) < 0.05,
        scaled.p < 0.05,
        scaled.p < 0.005,
    ]


def holds(ends: Floats) -> bool:
    return bool(ends[0] <= 0 <= ends[1])


def nested(cells: Floats, rng: np.random.Generator) -> Floats:
    """Means over drawn seeds, each with a draw of tasks of its own."""
    num_seeds, num_tasks = cells.shape
    means = np.empty(NUM_BOOTSTRAP)
    for i in range(NUM_BOOTSTRAP):
        seeds = rng.integers(num_seeds, size=(num_seeds, 1))
        means[i] = cells[seeds, rng.integers(num_tasks, size=cells.shape)].mean()
    return means


def sign_flip(cells: Floats) -> float:
    """The share of all ways to turn seeds' differences round that are as far from 0."""
    by_seed = cells.mean(axis=1)
    signs = np.array(list(itertools.product((-1, 1), repeat=len(by_seed))))
    turned = np.abs(signs @ by_seed)
    return float((turned >= abs(by_seed.sum()) - 1e-12).mean())


if __name__ == "__main__":
    main()
