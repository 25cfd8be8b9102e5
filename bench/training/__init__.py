"""Training on trees against training each sequence by itself: processor time, and memory beside it.

Rows are those of a finished run (`--run-dir`; a small stand-in without one), and ALFWorld's expert
runs with branches and a long prompt (`--alfworld`). Before anything is timed, one batch's loss and
gradient are asserted equal for all. Tasks are dealt to several rounds; in a round each trains once
on the same rows from the same weights, on one thread, in turn. The learning rate is too small to
move a weight.
"""

from __future__ import annotations

import json
import pickle
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch

from bench.core.plan import Plan
from bench.core.table import Comparison, Figure, Row
from bench.training import workloads
from bench.training.contestants import CONTESTANTS, assert_equal, padding
from bench.training.workloads import Workload

TOKEN_RATIO_SHARE = 0.8


def rows(plan: Plan) -> Iterator[Row]:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        for workload in workloads.of(plan, Path(folder)):
            yield from measured(plan, workload, Path(folder))


def measured(plan: Plan, workload: Workload, folder: Path) -> Iterator[Row]:
    assert_equal(workload, folder)
    for train in CONTESTANTS.values():  # what a first time costs is nobody's
        train(_few(workload), folder)
    seconds: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    computed = 0
    parts = workload.dealt(1) if plan.quick else workload.dealt(3)[: plan.rounds]
    for part in parts:
        for name, train in CONTESTANTS.items():
            trained = train(part, folder)
            seconds[name].append(trained.seconds)
            computed += trained.num_computed_tokens if name == "tree" else 0
    ratio = sum(part.num_tokens for part in parts) / computed
    peaks = {} if plan.quick else {name: _peak(parts[0], name, folder) for name in CONTESTANTS}
    for name in CONTESTANTS:
        if name == "tree":
            continue
        share = sum(seconds[name]) / sum(seconds["tree"]) / ratio
        yield _comparison(plan, workload, parts, seconds, name, ratio, peaks)
        if name == "padded":
            yield Figure(
                "training",
                workload.name,
                "share of the token ratio, against padded",
                share,
                "",
                at_least=plan.at_least(TOKEN_RATIO_SHARE),
                note=f"token ratio {ratio:.2f}, {padding(workload):.0%} of padded is padding",
            )


def _few(workload: Workload) -> Workload:
    return replace(workload, rows=workload.rows[:4], tasks=workload.tasks[:4])


def _comparison(
    plan: Plan,
    workload: Workload,
    parts: list[Workload],
    seconds: dict[str, list[float]],
    name: str,
    ratio: float,
    peaks: dict[str, float],
) -> Row:
    def ns(who: str) -> tuple[float, float]:
        by_part = [s / p.num_tokens * 1e9 for s, p in zip(seconds[who], parts, strict=True)]
        num_tokens = sum(part.num_tokens for part in parts)
        return sum(seconds[who]) / num_tokens * 1e9, statistics.median(by_part)

    least = workload.at_least if name == "padded" else None
    note = f"ratio/R {ns(name)[0] / ns('tree')[0] / ratio:.2f}"
    if peaks:
        note += f"; peak {peaks['tree']:,.0f} against {peaks[name]:,.0f} MiB"
    return Comparison(
        "training",
        workload.name,
        "token",
        name,
        *ns("tree"),
        *ns(name),
        None if least is None else plan.at_least(least),
        note,
    )


def _peak(part: Workload, name: str, folder: Path) -> float:
    """MiB at most resident in a process of its own that trains on this part."""
    file = folder / "part.pickle"
    file.write_bytes(pickle.dumps(part))
    command = [sys.executable, "-m", "bench.training.child", str(file), name, str(folder)]
    child = subprocess.run(command, capture_output=True, check=True, text=True)
    return float(json.loads(child.stdout.splitlines()[-1])["peak_mib"])
