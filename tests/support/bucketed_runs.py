"""Random runs that tables can hold, as a table and as files, for tests of buckets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from support.random_forests import random_trajectories

from w2stree.trajectories.origin import Origin
from w2stree.trajectories.tables import write_table
from w2stree.trajectories.trajectory import Message, Trajectory


def random_runs(random: Random, num_forests: int = 1) -> list[Trajectory]:
    """Of several small forests, mixed: tasks asked each in its own words, some runs there twice
    (by seed and sample), some ended in an error."""
    runs = []
    for forest in range(num_forests):
        for number, run in enumerate(random_trajectories(random)):
            task = f"{forest}/{run.task_id}"
            steps = tuple(
                replace(s, action=_whole(s.action), response=f"Action: {_whole(s.action)}")
                for s in run.steps
            )
            runs.append(
                replace(
                    run,
                    task_id=task,
                    prompt=(Message("user", f"Do {task}."),),
                    steps=steps,
                    status="error" if random.random() < 0.05 else "done",
                    origin=Origin(sample_index=number, seed=forest, policy="p"),
                )
            )
    runs += random.sample(runs, len(runs) // 10)
    random.shuffle(runs)
    return runs


def table_of(runs: list[Trajectory], folder: Path) -> Any:
    import pyarrow.parquet

    write_table(folder / "runs.parquet", runs)
    return pyarrow.parquet.read_table(folder / "runs.parquet")


def files_of(runs: list[Trajectory], folder: Path, num_files: int = 3) -> Path:
    """A folder of tables, the runs in order over them."""
    folder.mkdir()
    size = -(-len(runs) // num_files)
    for i in range(num_files):
        write_table(folder / f"{i}.parquet", runs[i * size : (i + 1) * size])
    return folder


def _whole(text: str) -> str:
    return text.replace("\udce9", "e")  # half a surrogate pair, which no table holds
