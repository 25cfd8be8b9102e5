"""python -m bench.scale --steps 1000000: memory and time of a command bucket by bucket.

Makes a table of so many steps (tasks of 20 runs of 25 steps, answers of some 150 characters, half
of the steps shared), then makes forests or pairs of it in a process of its own, whose greatest
resident memory is told. `--engine local` is that process; for Ray add up what its workers have.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from w2stree.trajectories.tables import schema, write_table
from w2stree.trajectories.trajectory import Message, Step, Trajectory

_TASKS, _RUNS, _STEPS = 20, 20, 25  # of a block, which is there again and again under new names


def block(seed: int) -> list[Trajectory]:
    random = Random(seed)
    words = [f"word{i}" for i in range(2_000)]
    runs = []
    for task in range(_TASKS):
        prompt = (Message("user", f"Task {task}: " + " ".join(random.choices(words, k=30))),)
        paths: list[list[Step]] = [[]]
        for run in range(_RUNS):
            steps = random.choice(paths)[: random.randint(0, _STEPS)]
            steps = steps + [_step(random, words) for _ in range(_STEPS - len(steps))]
            paths.append(steps)
            runs.append(Trajectory(f"{task}", prompt, tuple(steps), run / _RUNS, "done"))
    return runs


def _step(random: Random, words: list[str]) -> Step:
    action = " ".join(random.choices(words, k=2))
    return Step(action, " ".join(random.choices(words, k=20)), f"I think.\nAction: {action}")


def make_input(folder: Path, num_steps: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    write_table(folder / "block.parquet", block(0))
    table = pq.read_table(folder / "block.parquet")
    (folder / "block.parquet").unlink()
    num_blocks = -(-num_steps // (_TASKS * _RUNS * _STEPS))
    with pq.ParquetWriter(folder / "runs.parquet", schema(pa), compression="zstd") as writer:
        for number in range(num_blocks):
            names = pa.array([f"{number}/{task}" for task in table["task_id"].to_pylist()])
            field = table.schema.field("task_id")
            writer.write_table(table.set_column(0, field, names))


def measured(command: str, folder: Path, num_buckets: int | None) -> dict[str, Any]:
    from w2stree.scale.bucketed import run_buckets
    from w2stree.scale.engine import LocalEngine
    from w2stree.scale.jobs import Forests, Pairs

    job = Forests() if command == "tree" else Pairs(max_per_task=100)
    before, begin = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    finished = run_buckets(
        job, [str(folder / "runs.parquet")], folder / "out", LocalEngine(), num_buckets=num_buckets
    )
    after = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "num_buckets": finished.manifest.num_buckets,
        "input_mib": (folder / "runs.parquet").stat().st_size >> 20,
        "before_mib": before.ru_maxrss >> 10,
        "peak_mib": after.ru_maxrss >> 10,
        "seconds_of_the_processor": round(after.ru_utime - before.ru_utime, 1),
        "seconds": round(time.monotonic() - begin, 1),
        "counts": finished.manifest.counts,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--command", choices=["tree", "pairs"], default="tree")
    parser.add_argument("--buckets", type=int)
    parser.add_argument("--in", dest="folder", type=Path, help="of the process that is measured")
    given = parser.parse_args()
    if given.folder is not None:
        print(json.dumps(measured(given.command, given.folder, given.buckets)))
        return
    with TemporaryDirectory() as folder:
        make_input(Path(folder), given.steps)
        words = ["--in", folder, "--command", given.command]
        words += ["--buckets", str(given.buckets)] if given.buckets else []
        subprocess.run([sys.executable, "-W", "ignore", "-m", "bench.scale", *words], check=True)


if __name__ == "__main__":
    main()
