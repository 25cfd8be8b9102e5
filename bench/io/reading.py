"""From files of trajectories to forests, against what one would write without us.

    json, dict trie     a line at a time by `json.loads`, then tries of dicts: nothing is checked
    msgspec, dict trie  the same by typed structs of the fields a tree needs
    load_dataset        `datasets.load_dataset("json")`, and no tree
    polars              `read_ndjson`, and no tree

Ours reads strictly, looks for runs that were read before and keeps every row's text. Steps are an
action, an observation and a thought of the agent's, 200 bytes in JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

import w2stree as w2s
from bench.core.baselines import dict_trie
from bench.core.plan import Plan
from bench.core.table import Comparison, Figure, Row, compared
from bench.core.texts import Texts
from bench.core.timing import interleaved
from bench.core.workloads import Workload
from bench.equality import DifferentResultsError
from bench.io.growing import growing
from w2stree.trajectories.origin import Origin
from w2stree.trajectories.trajectory import Message, Step, Trajectory

_LEAST_STEPS_PER_S = {".jsonl": 1e6, ".parquet": 4e6}
_MOST_MEMORY = 1.5  # times the text


def rows(plan: Plan) -> Iterator[Row]:
    warnings.simplefilter("ignore")  # of tasks whose runs are alike
    workload = plan.w2
    with TemporaryDirectory() as folder:
        lines = Path(folder) / "runs.jsonl"
        w2s.write_trajectories(lines, trajectories_of(workload))
        yield from from_lines(plan, workload, lines)
        yield memory(plan, workload, lines)
        yield from growing(plan, workload.name, list(w2s.read_trajectories(lines)))
        if find_spec("pyarrow") is not None:
            table = lines.with_suffix(".parquet")
            w2s.write_trajectories(table, w2s.read_trajectories(lines))
            yield from from_table(plan, workload, table)


def trajectories_of(workload: Workload) -> list[Trajectory]:
    texts = Texts.of(workload).rows()
    prompt = (Message("user", "You are in a house. Find the coin and put it on the table."),)
    return [
        Trajectory(
            task,
            prompt,
            tuple(
                Step(a, o, f"Thought: I should {a} now.\nAction: {a}")
                for a, o in zip(actions, observations, strict=True)
            ),
            total_return,
            "done",
            Origin(sample_index=i, seed=0),
        )
        for i, (task, actions, observations, total_return) in enumerate(zip(*texts, strict=True))
    ]


def from_lines(plan: Plan, workload: Workload, path: Path) -> Iterator[Row]:
    forest = w2s.build_forest(w2s.read_trajectories(path), num_threads=1)
    num_nodes = dict_trie.to_arrays(_by_json(path), with_steps=False)["parent"].size
    if forest.num_nodes != num_nodes:
        raise DifferentResultsError(f"{forest.num_nodes} nodes, by dict trie {num_nodes}")
    del forest
    others = _of_other_packages(path.parent)
    for name, work in others.items():
        _compare(name, work(path), path)
    works = {"json, dict trie": _by_json, "msgspec, dict trie": _by_msgspec, **others}
    mine, *timings = interleaved(
        *(lambda work=work: work(path) for work in (_ours, *works.values())), budget=plan.budget
    )
    rate = workload.num_steps / mine.best
    least = plan.at_least(_LEAST_STEPS_PER_S[path.suffix])
    yield Figure("io", f"{workload.name}, {path.suffix}", "steps", rate, "/s", at_least=least)
    for name, its in zip(works, timings, strict=True):
        yield compared(
            "io", f"{workload.name}, {path.suffix}", "step", name, mine, its, workload.num_steps
        )
    for name in ("datasets", "polars"):
        if find_spec(name) is None:
            yield Comparison("io", workload.name, "step", name, note="not installed")


def from_table(plan: Plan, workload: Workload, path: Path) -> Iterator[Row]:
    if _ours(path).digest() != _ours(path.with_suffix(".jsonl")).digest():
        raise DifferentResultsError("a table's forest is another one than that of its lines")
    mine, its = interleaved(lambda: _ours(path), lambda: _by_pyarrow(path), budget=plan.budget)
    rate, least = workload.num_steps / mine.best, plan.at_least(_LEAST_STEPS_PER_S[path.suffix])
    name = f"{workload.name}, {path.suffix}"
    yield Figure("io", name, "steps", rate, "/s", at_least=least)
    yield compared("io", name, "step", "pyarrow, dict trie", mine, its, workload.num_steps)


def _by_pyarrow(path: Path) -> Any:
    columns = ["task_id", "steps", "total_return"]
    table = import_module("pyarrow.parquet").read_table(path, columns=columns)
    steps = table.column("steps").to_pylist()
    return dict_trie.build(
        table.column("task_id").to_pylist(),
        [[step["action"] for step in row] for row in steps],
        [[step["observation"] for step in row] for row in steps],
        table.column("total_return").to_pylist(),
    )


def _ours(path: Path) -> Any:
    return w2s.build_forest(w2s.read_trajectories(path), num_threads=1)


def _by_json(path: Path) -> Any:
    with path.open("rb") as file:
        records = [json.loads(line) for line in file]
    return dict_trie.build(
        [record["task_id"] for record in records],
        [[step["action"] for step in record["steps"]] for record in records],
        [[step["observation"] for step in record["steps"]] for record in records],
        [record["total_return"] for record in records],
    )


class _Step(msgspec.Struct, gc=False):
    action: str
    observation: str


class _Run(msgspec.Struct, gc=False):
    task_id: str
    steps: list[_Step]
    total_return: float


def _by_msgspec(path: Path) -> Any:
    decoder = msgspec.json.Decoder(_Run)
    with path.open("rb") as file:
        records = [decoder.decode(line) for line in file]
    return dict_trie.build(
        [record.task_id for record in records],
        [[step.action for step in record.steps] for record in records],
        [[step.observation for step in record.steps] for record in records],
        [record.total_return for record in records],
    )


def _of_other_packages(folder: Path) -> dict[str, Callable[[Path], Any]]:
    works: dict[str, Callable[[Path], Any]] = {}
    if find_spec("datasets"):
        datasets = import_module("datasets")
        datasets.disable_progress_bars()
        calls = iter(range(1_000))

        def load_dataset(path: Path) -> Any:  # into a new cache: else it reads nothing
            cache = folder / f"cache-{next(calls)}"
            return datasets.load_dataset(
                "json", data_files=str(path), split="train", cache_dir=str(cache)
            )

        works["load_dataset, no tree"] = load_dataset
    if find_spec("polars"):
        works["polars, no tree"] = import_module("polars").read_ndjson
    return works


def _compare(name: str, read: Any, path: Path) -> None:
    """Raises where a table of other tasks, returns or actions was read than `json` reads."""
    with path.open("rb") as file:
        records = [json.loads(line) for line in file]
    actions = [[step["action"] for step in steps] for steps in read["steps"]]
    expected = [
        (r["task_id"], r["total_return"], [step["action"] for step in r["steps"]]) for r in records
    ]
    if list(zip(read["task_id"], read["total_return"], actions, strict=True)) != expected:
        raise DifferentResultsError(f"{name}: other runs than json reads")


_PEAK = """
import resource, sys, warnings
import w2stree as w2s
warnings.simplefilter("ignore")
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
w2s.build_forest(w2s.read_trajectories(sys.argv[2]))
before = resident()
read = w2s.read_trajectories(sys.argv[1])
forest = w2s.build_forest(read)
print(resident() - before)
"""


def memory(plan: Plan, workload: Workload, path: Path) -> Row:
    """Of a process of its own that has imported everything before: what it holds afterwards."""
    small = path.with_name("small.jsonl")
    with path.open("rb") as file:
        small.write_bytes(b"".join(next(file) for _ in range(10)))
    command = [sys.executable, "-c", _PEAK, str(path), str(small)]
    grown = int(subprocess.run(command, check=True, capture_output=True, env=os.environ).stdout)
    return Figure(
        "io",
        f"{workload.name}, {path.suffix}",
        "memory of reading and forest",
        grown / path.stat().st_size,
        "x text",
        at_most=plan.at_most(_MOST_MEMORY),
    )
