"""How long opening a saved forest takes: python -m bench.core.open_forest [FOLDER]

100 tasks, 4,000 trajectories each, 30 steps: 12M steps, about 4.5M nodes and 0.7M chains. The
best of many runs, since others may use the machine; `cold` drops the file from the page cache.
"""

from __future__ import annotations

import gc
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from w2stree import Forest, _core, open_forest
from w2stree.forest.parts import ForestParts

TASKS, TRAJECTORIES, STEPS, RUNS = 100, 4000, 30, 40


def make_forest() -> Forest:
    """An agent of two actions that takes the first one 85 % of the time."""
    random = np.random.default_rng(20250718)
    num_trajectories = TASKS * TRAJECTORIES
    action_id = (random.random(num_trajectories * STEPS) >= 0.85).astype(np.int32)
    core = _core.build_forest(
        action_id,
        action_id.copy(),
        np.arange(0, num_trajectories * STEPS + 1, STEPS, dtype=np.int64),
        np.repeat(np.arange(TASKS, dtype=np.int32), TRAJECTORIES),
        random.integers(0, 11, num_trajectories) / 10,
        TASKS,
    )
    return Forest(
        ForestParts(
            core,
            task_ids=[f"task {i}" for i in range(TASKS)],
            actions=["go on", "turn"],
            observations=["on", "round"],
        )
    )


def best_ms(run: Callable[[], object], before: Callable[[], None] | None = None) -> float:
    best = float("inf")
    for _ in range(RUNS):
        gc.collect()
        if before is not None:
            before()
        start = time.perf_counter()
        result = run()
        best = min(best, time.perf_counter() - start)
        del result
    return 1000 * best


def drop_from_cache(path: Path) -> None:
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def main(folder: Path) -> None:
    path = folder / "w3.forest"
    forest = make_forest()
    print(f"save            {best_ms(lambda: forest.save(path)):8.1f} ms")
    print(f"{forest.num_nodes:,} nodes, {forest.core.num_chains:,} chains, ", end="")
    print(f"{path.stat().st_size / 1e6:.1f} MB")
    content = path.read_bytes()
    print(f"xxh64 of that   {best_ms(lambda: _core.xxh64(content)):8.1f} ms")
    for n in (1, 2):
        ms = best_ms(lambda n=n: open_forest(path, num_threads=n))
        print(f"open, {n} thread(s) {ms:6.1f} ms")
    cold = best_ms(lambda: open_forest(path), before=lambda: drop_from_cache(path))
    print(f"open, cold      {cold:8.1f} ms")
    print(f"digest          {best_ms(forest.digest):8.1f} ms")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            main(Path(folder))
