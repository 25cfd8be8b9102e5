"""Small random forests by seed, made fast: for differential tests in the hundred thousands."""

from __future__ import annotations

import math
from random import Random

from support.strategies import ACTIONS, DYADIC, OBSERVATIONS, PROMPT, RETURNS

from w2stree import Step, Trajectory

# By the last bits: 0.1 + 0.2 beside 0.3, and neighbours of 0.5.
NEAR = [0.1 + 0.2, 0.3, 0.5, math.nextafter(0.5, 0), math.nextafter(0.5, 1)]
TEXTS = [*ACTIONS, "\udce9", "x" * 33]


def random_trajectories(random: Random) -> list[Trajectory]:
    """Up to three tasks: prefixes of one another, duplicates, empty ones, ties; one in twelve
    has a node of 9 to 70 children, one in twelve is a single trajectory."""
    returns = random.choice([RETURNS, DYADIC, NEAR, [0.0, 1.0], [0.3], None])
    texts = random.sample(TEXTS, random.randint(1, len(TEXTS)))
    steps = [Step(action, observation) for action in texts for observation in OBSERVATIONS]
    steps = random.sample(steps, random.randint(1, len(steps)))
    tasks = random.choice([["a"], ["a"], ["", "b", "ü"]])
    paths: list[tuple[Step, ...]] = []
    for _ in range(random.choice([1, *range(2, 13)])):
        shared = random.choice(paths) if paths and random.random() < 0.7 else ()
        shared = shared[: random.randint(0, len(shared))]
        paths.append(shared + tuple(random.choices(steps, k=random.randint(0, 3))))
    if random.random() < 1 / 12:
        stem = random.choice(paths)
        arms = range(random.choice([9, 17, 33, 70]))
        paths += [(*stem, Step(str(arm // 2), OBSERVATIONS[arm % 2])) for arm in arms]
        random.shuffle(paths)
        tasks = ["a"]
    return [
        Trajectory(
            random.choice(tasks),
            PROMPT,
            path,
            random.choice(returns) if returns else random.uniform(-1, 1),
            "done",
        )
        for path in paths
    ]


def random_rule(random: Random) -> dict:
    """Which pairs are wanted."""
    return {
        "min_gap": random.choice([0.0, 0.0, 0.1, 0.3 - 0.1, 0.5, 1.0]),
        "success_threshold": random.choice([None, 0.0, 0.3, 0.5, 0.65, 1.0]),
        "return_range": random.choice([(-1.0, 1.0), (-1.5, 2.0)]),
    }


def random_search(random: Random) -> dict:
    return {
        "num_simulations": random.choice([1, 2, 7, 20, 60]),
        "exploration": random.choice([0.0, 0.1, 1.41, 100.0]),
        "return_range": random.choice([(-1.0, 1.0), (-1.5, 2.0)]),
        "stop_arm": random.random() < 0.5,
        "backup": random.choice(["mean", "max"]),
        "min_visits": random.choice([0, 1, 3, 20]),
        "num_paths": random.choice([1, 2, 100]),
        "patience": random.choice([None, 1, 5, 20]),
    }
