"""Bytes a node, and the peak resident size of a process that builds, searches and streams W3.

That process is a child (`python -m bench.core.jobs.memory COLUMNS.npz`), which holds the workload's
columns and nothing else. Linux only: elsewhere there is no peak that can be set back.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bench.core import ours
from bench.core.baselines import dict_trie
from bench.core.jobs.pairs import CHUNK_SIZE
from bench.core.plan import EXPLORATION, Plan
from bench.core.table import Figure, Row
from bench.core.workloads import Workload

_COLUMNS = ("action_id", "observation_id", "step_offset", "tree_id", "total_return")
_STREAMED = 200_000_000


def rows(plan: Plan) -> Iterator[Row]:
    for workload in (plan.w1, plan.w2, plan.w3):
        yield from bytes_a_node(plan, workload)
    yield of_dict_trie(plan.w1.head(200))
    yield from peaks(plan, plan.w3)


def bytes_a_node(plan: Plan, workload: Workload) -> Iterator[Row]:
    forest = ours.build(workload)
    compressed = ours.nbytes(forest)
    ours.arrays(forest)
    nodes = ours.num_nodes(forest)
    name = workload.name
    yield Figure(
        "memory", name, "held after the build", compressed / nodes, "B/node", plan.at_most(18)
    )
    yield Figure(
        "memory",
        name,
        "held with all node arrays",
        ours.nbytes(forest) / nodes,
        "B/node",
        plan.at_most(26),
    )


def of_dict_trie(workload: Workload) -> Row:
    given = workload.rows()
    tracemalloc.start()
    trie = dict_trie.build(*given)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    value = taken / len(trie.parent)
    return Figure("memory", workload.name, "dict trie, no arrays", value, "B/node")


def peaks(plan: Plan, workload: Workload) -> Iterator[Row]:
    if not Path("/proc/self/clear_refs").exists():
        yield Figure("memory", workload.name, "peak RSS", None, "MiB", note="needs Linux")
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "columns.npz"
        columns = {name: getattr(workload, name) for name in _COLUMNS}
        np.savez(file, num_trees=workload.num_trees, **columns)
        child = subprocess.run(
            [sys.executable, "-m", "bench.core.jobs.memory", str(file)],
            capture_output=True,
            check=True,
            text=True,
        )
    peak = json.loads(child.stdout)
    name = workload.name
    yield Figure("memory", name, "peak RSS with the columns alone", peak["columns"], "MiB")
    for stage in ("build", "node arrays", "search"):
        yield Figure("memory", name, f"peak RSS grows by, {stage}", peak[stage], "MiB")
    streamed = peak.get("stream")
    yield Figure(
        "memory",
        name,
        f"peak RSS grows by, streaming {_STREAMED:,} pairs",
        streamed,
        "MiB",
        plan.at_most(16),
        note="" if streamed is not None else "not in this build: Forest.stream_pairs",
    )


def _measure(file: Path) -> dict[str, float]:
    """MiB: the peak of loading the columns, then how far above its start each stage goes."""
    with np.load(file) as saved:
        columns = {name: saved[name] for name in _COLUMNS}
        workload = Workload(name="", num_trees=int(saved["num_trees"]), **columns)
    peak = {"columns": status_mib("VmHWM")}
    before = _start()
    forest = ours.build(workload)
    peak["build"] = status_mib("VmHWM") - before
    before = _start()
    _stream(forest)
    peak["stream"] = status_mib("VmHWM") - before
    before = _start()
    result = ours.search(forest, num_simulations=1_000, exploration=EXPLORATION)
    peak["search"] = status_mib("VmHWM") - before
    del result
    before = _start()
    ours.arrays(forest)
    peak["node arrays"] = status_mib("VmHWM") - before
    return peak


def _stream(forest: ours.Forest) -> None:
    num_pairs = 0
    for chunk in ours.stream_pairs(forest, chunk_size=CHUNK_SIZE):
        num_pairs += len(chunk)
        if num_pairs >= _STREAMED:
            return


def _start() -> float:
    """Forgets the peak so far; the resident size now. getrusage cannot: its peak never falls,
    and a child begins with its parent's."""
    Path("/proc/self/clear_refs").write_text("5")
    return status_mib("VmRSS")


def status_mib(field: str) -> float:
    """Of this program alone: `VmRSS` now, `VmHWM` at most."""
    for row in Path("/proc/self/status").read_text().splitlines():
        if row.startswith(f"{field}:"):
            return int(row.split()[1]) / 1024
    raise KeyError(field)


if __name__ == "__main__":
    print(json.dumps(_measure(Path(sys.argv[1]))))
