"""Nanoseconds a step for each way into a forest, on the same seeded data.

python -m bench.core.ingestion [--tasks 1000]      Arrow rows need pyarrow, the polars row polars

Texts are 10 to 80 bytes; half of the actions come from a pool that all tasks share, the rest and
all observations from the task's own. `read` is text to ids in CPU time of one thread, `build` the
whole call by the clock, with all cores. Best of several.
"""

from __future__ import annotations

import argparse
import importlib
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import w2stree as w2s
from w2stree import _core
from w2stree import forest as forest_makers

Columns = tuple[list[str], list[list[str]], list[list[str]], list[float]]


def make_columns(num_tasks: int, num_trajectories: int = 50, max_steps: int = 30) -> Columns:
    rng = np.random.default_rng(0)

    def pool(what: str, size: int) -> list[str]:
        lengths = rng.integers(10, 81, size)
        return [f"{what} {i} ".ljust(n, "abcdefgh"[i % 8])[:80] for i, n in enumerate(lengths)]

    shared = pool("go to place", 200)
    columns: Columns = ([], [], [], [])
    for task in range(num_tasks):
        own, answers = pool(f"take {task}", 30), pool(f"you see {task}", 60)
        for _ in range(num_trajectories):
            n = int(rng.integers(1, max_steps + 1))
            # Squares prefer small indices: some texts are far more frequent than others.
            a = (rng.random(n) ** 2 * 60).astype(int)
            o = (rng.random(n) ** 2 * 60).astype(int)
            columns[0].append(f"task-{task}")
            columns[1].append([shared[i] if i < 30 else own[i - 30] for i in a])
            columns[2].append([answers[i] for i in o])
            columns[3].append(float(rng.integers(0, 2)))
    return columns


def best_of(call: Callable[[], Any], clock: Callable[[], float], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        begin = clock()
        call()
        times.append(clock() - begin)
    return min(times)


def fresh(lists: list[list[str]]) -> list[list[str]]:
    """Every text an object of its own, as JSON readers leave them."""
    copies: list[list[str]] = json.loads(json.dumps(lists))
    return copies


def trajectories_of(columns: Columns) -> list[w2s.Trajectory]:
    return [
        w2s.Trajectory(task, (), tuple(map(w2s.Step, acts, answers)), total_return, "done")
        for task, acts, answers, total_return in zip(*columns, strict=True)
    ]


def arrow_tables(columns: Columns) -> dict[str, Any]:
    try:
        pa: Any = importlib.import_module("pyarrow")
    except ModuleNotFoundError:
        return {}

    def table(text: Any, as_list: Any) -> Any:
        names = ("actions", "observations")
        lists = {name: pa.array(columns[i], as_list(text)) for i, name in enumerate(names, 1)}
        return pa.table({"task_id": columns[0], "total_return": columns[3], **lists})

    tables = {
        "string": table(pa.string(), pa.list_),
        "large_string": table(pa.large_string(), pa.large_list),
        "string_view": table(pa.string_view(), pa.large_list),
        "dictionary": table(pa.dictionary(pa.int32(), pa.string()), pa.list_),
    }
    try:
        polars: Any = importlib.import_module("polars")
    except ModuleNotFoundError:
        return tables
    return {**tables, "polars": polars.DataFrame(tables["large_string"])}


def ways_of(columns: Columns) -> dict[str, tuple[Callable[[], Any] | None, Callable[[], Any]]]:
    """(text to ids, the whole call) by name."""
    ids, _ = _core.intern_texts(*columns)
    ways: dict[str, tuple[Callable[[], Any] | None, Callable[[], Any]]] = {
        "ids": (None, lambda: forest_makers.build_forest_from_ids(*ids)),
    }
    own = (columns[0], fresh(columns[1]), fresh(columns[2]), columns[3])
    for name, lists in (("lists, shared str", columns), ("lists, own str", own)):
        ways[name] = (
            lambda lists=lists: _core.intern_texts(*lists),
            lambda lists=lists: forest_makers.build_forest_from_texts(*lists),
        )
        made = trajectories_of(lists)
        ways[name.replace("lists", "Trajectory")] = (
            lambda made=made: _core.intern_trajectories(made, w2s.Trajectory, w2s.Step, None),
            lambda made=made: w2s.build_forest(made),
        )
    for name, table in arrow_tables(columns).items():
        ways[f"Arrow, {name}"] = (
            lambda table=table: _core.read_arrow_stream(table.__arrow_c_stream__()),
            lambda table=table: forest_makers.build_forest_from_arrow(table),
        )
    return ways


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=10)
    options = parser.parse_args()
    columns, repeats = make_columns(options.tasks), options.repeats
    num_steps = sum(map(len, columns[1]))
    forest = forest_makers.build_forest_from_texts(*columns)
    print(
        f"{num_steps:,} steps, {len(columns[0]):,} trajectories, {len(forest.actions):,} actions, "
        f"{len(forest.observations):,} observations, {forest.num_nodes:,} nodes"
    )
    print(f"{'ns a step':<26}{'read':>8}{'build':>8}")
    for name, (read, build) in ways_of(columns).items():
        if build().num_nodes != forest.num_nodes:
            raise AssertionError(f"{name} built another forest")
        of_read = best_of(read, time.process_time, repeats) if read else 0.0
        of_build = best_of(build, time.perf_counter, repeats)
        print(
            f"{name:<26}{1e9 * of_read / num_steps:>8.1f}{1e9 * of_build / num_steps:>8.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
