"""Floors measured in the same run: what the machine allows, next to what ours takes.

Build moves bytes: it reads the id columns once and writes the node arrays once. The floor is
those bytes over the bandwidth of a copy, once into memory in use and once into fresh pages,
which the operating system must clear and map first, as it must for new arrays.

Search waits: each decision needs the statistics of the node that the last one chose. The floor
is the latency of the shortest such chain (load an arm's statistics, multiply-add, compare, load
the child), times the decisions of a simulation. A processor that guesses the decision right
need not wait, so a search of small, predictable trees may go below it.

Listing pairs writes three ids and a gap each: the floor is the time to write as many bytes into
memory just got from the system, page by page, as the core gets its own.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from mmap import mmap

import numpy as np

from bench.core import ours
from bench.core.plan import EXPLORATION, NOT_INSTALLED, Plan, baseline
from bench.core.table import Figure, Row
from bench.core.timing import interleaved
from bench.core.workloads import Workload

_MIB = 1 << 20


def rows(plan: Plan) -> Iterator[Row]:
    warm, fresh = bandwidth(64 if plan.quick else 256)
    yield Figure("floor", "memory", "copy into memory in use", warm, "GB/s", note="bytes moved")
    yield Figure("floor", "memory", "copy into fresh pages", fresh, "GB/s", note="bytes moved")
    for workload in (plan.w1, plan.w2, plan.w3):
        yield from of_build(plan, workload, warm, fresh)
    yield from of_search(plan)
    yield Figure("floor", "pairs", "12 bytes a pair, memory in use", 12 / warm, "ns/pair")
    pages = fresh_pages(2 if plan.quick else 10)
    yield Figure("floor", "pairs", "20 bytes a pair, fresh pages", 20 / pages, "ns/pair")


def bandwidth(mebibytes: int) -> tuple[float, float]:
    """Bytes read and written a nanosecond (GB/s) by a copy: into warm and into fresh memory."""
    source = np.ones(mebibytes * _MIB // 8)
    target = np.ones_like(source)
    moved = 2 * source.nbytes
    warm, fresh = [], []
    for _ in range(5):
        start = time.process_time_ns()
        np.copyto(target, source)
        warm.append(moved / (time.process_time_ns() - start))
        start = time.process_time_ns()
        new = source.copy()
        fresh.append(moved / (time.process_time_ns() - start))
        del new
    return max(warm), max(fresh)


def fresh_pages(mebibytes: int) -> float:
    """Bytes written a nanosecond (GB/s) into pages that the system maps one by one: NumPy would
    ask for huge ones."""
    rates = []
    for _ in range(20):
        with mmap(-1, mebibytes * _MIB) as memory:
            start = time.process_time_ns()
            np.frombuffer(memory, np.int64)[:] = 1
            rates.append(len(memory) / (time.process_time_ns() - start))
    return max(rates)


def of_build(plan: Plan, workload: Workload, warm: float, fresh: float) -> Iterator[Row]:
    (timing,) = interleaved(
        lambda: ours.build_with_arrays(workload), least=5, budget=plan.budget / 2
    )
    columns = (
        workload.action_id,
        workload.observation_id,
        workload.step_offset,
        workload.tree_id,
        workload.total_return,
    )
    read = sum(column.nbytes for column in columns)
    written = sum(column.nbytes for column in ours.arrays(ours.build(workload)).values())
    best, _ = timing.ns(workload.num_steps)
    bytes_a_step = (read + written) / workload.num_steps
    name = workload.name
    yield Figure("floor", name, "build, all node arrays", best, "ns/step")
    for kind, rate in (("in use", warm), ("fresh", fresh)):
        floor = bytes_a_step / rate
        note = f"{bytes_a_step:.1f} bytes; ours takes {best / floor:.1f}x as long"
        yield Figure("floor", name, f"its bytes, pages {kind}", floor, "ns/step", note=note)


def of_search(plan: Plan) -> Iterator[Row]:
    latency_chain = baseline("latency_chain")
    if latency_chain is None:
        yield Figure("floor", "search", "a decision", None, "ns", note=NOT_INSTALLED)
        return
    decision = latency_chain.nanoseconds()
    yield Figure("floor", "search", "dependent chain of a decision", decision, "ns")
    sims = 200 if plan.quick else 1_000
    for workload in (plan.w1, plan.w2, plan.w3):
        forest = ours.build(workload)
        (timing,) = interleaved(
            lambda forest=forest: ours.search(
                forest, num_simulations=sims, exploration=EXPLORATION
            ),
            least=5,
            budget=plan.budget / 2,
        )
        best, _ = timing.ns(sims * workload.num_trees)
        decisions = _decisions_a_simulation(forest, sims, workload.num_trees)
        floor = decisions * decision
        note = f"{decisions:.2f} decisions; ours takes {best / floor:.1f}x as long"
        yield Figure("floor", workload.name, "search", best, "ns/sim")
        yield Figure("floor", workload.name, "its decisions", floor, "ns/sim", note=note)


def _decisions_a_simulation(forest: ours.Forest, sims: int, num_trees: int) -> float:
    """Visits of nodes with two arms or more."""
    result = ours.search(forest, num_simulations=sims, exploration=EXPLORATION)
    visits = ours.statistics(result)["visit_count"]
    has_children = forest.num_children > 0
    num_arms = forest.num_children + (has_children & (forest.num_terminal > 0))
    return float(visits[num_arms > 1].sum()) / (sims * num_trees)
