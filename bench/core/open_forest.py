"""How long opening a saved forest takes: python -m bench.core.open_forest [FOLDER]

100 tasks, 4,000 trajectories each, 30 steps: 12M steps, about 4.5M nodes and 0.7M chains. The
best of many runs, since others may use the machine: by the clock, in processor time of all threads,
and in that of the busier one of two. `cold` drops the file from the page cache.
"""

from __future__ import annotations

import gc
import os
import sys
import tempfile
from collections.abc import Callable
from operator import attrgetter
from pathlib import Path

import numpy as np

from bench.core.timing import spent
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


def show(name: str, run: Callable[[], object], before: Callable[[], None] | None = None) -> None:
    taken = []
    for _ in range(RUNS):
        gc.collect()
        if before is not None:
            before()
        taken.append(spent(run))
    best = (1000 * min(map(attrgetter(what), taken)) for what in ("clock", "processor", "busier"))
    print(f"{name:<18}", *(f"{ms:10.1f}" for ms in best), flush=True)


def drop_from_cache(path: Path) -> None:
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def main(folder: Path) -> None:
    path = folder / "w3.forest"
    forest = make_forest()
    forest.save(path)
    print(f"{forest.num_nodes:,} nodes, {forest.core.num_chains:,} chains, ", end="")
    print(f"{path.stat().st_size / 1e6:.1f} MB")
    print(
        f"{'ms, best of ' + str(RUNS):<18}",
        *(f"{what:>10}" for what in ("clock", "processor", "busier")),
    )
    content = path.read_bytes()
    show("save", lambda: forest.save(path))
    show("read", path.read_bytes)
    show("xxh64 of that", lambda: _core.xxh64(content))
    show("open, 1 thread", lambda: open_forest(path, num_threads=1))
    show("open, 2 threads", lambda: open_forest(path, num_threads=2))
    show("open, cold", lambda: open_forest(path), before=lambda: drop_from_cache(path))
    show("digest", forest.digest)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            main(Path(folder))
