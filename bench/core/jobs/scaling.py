"""How time grows with the work, and shrinks with threads; results never depend on threads."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

from bench.core import ours, workloads
from bench.core.plan import EXPLORATION, Plan
from bench.core.table import Figure, Row
from bench.core.timing import interleaved, spent
from bench.core.workloads import Workload
from bench.equality import assert_equal

_THREADS = range(1, 9)
_ROUNDS = 9


def rows(plan: Plan) -> Iterator[Row]:
    scale = 0.1 if plan.quick else 1
    yield from growth(plan, plan.w1, workloads.w1(10 * scale))
    yield from growth(plan, plan.w3.head(max(1, plan.w3.num_trees // 10)), plan.w3)
    yield from threads(plan, plan.w3, "build")
    yield from threads(plan, plan.w1, "search")
    yield from threads(plan, plan.w3, "search")


def growth(plan: Plan, small: Workload, large: Workload) -> Iterator[Row]:
    """Time of ten times the work: steps for the build, simulations for the search."""
    works: dict[str, Callable[[Workload], Callable[[], Any]]] = {
        "build": lambda workload: lambda: ours.build_with_arrays(workload),
        "search": _searching,
    }
    more_work = {
        "build": large.num_steps / small.num_steps,
        "search": large.num_trees / small.num_trees,
    }
    for name, work in works.items():
        one, ten = interleaved(work(small), work(large), least=5, budget=2 * plan.budget)
        times = ten.best / one.best * 10 / more_work[name]
        yield Figure(
            "scaling",
            f"{small.name} -> {large.name}",
            f"{name}: time for 10x the work",
            times,
            "x",
            plan.at_most(12),
        )


def threads(plan: Plan, workload: Workload, job: str) -> Iterator[Row]:
    """Time on one thread over time on two; asserts the same result for 1 to 8."""
    forest = ours.build(workload)

    def work(num_threads: int) -> Any:
        if job == "build":
            return ours.build_with_arrays(workload, num_threads=num_threads)
        return _search(forest, num_threads)

    columns = dict if job == "build" else ours.statistics
    expected = columns(work(1))
    for num_threads in _THREADS:
        assert_equal(columns(work(num_threads)), expected, f"{job}, {num_threads} threads")
    one, two = interleaved(
        lambda: work(1),
        lambda: work(2),
        least=5,
        budget=2 * plan.budget,
        clock=time.perf_counter,
    )
    note = f"same result for {_THREADS[0]} to {_THREADS[-1]} threads; wants two idle cores"
    yield Figure(
        "scaling",
        workload.name,
        f"{job}: two threads are faster by",
        one.best / two.best,
        "x",
        at_least=plan.at_least(1.6),
        note=note,
    )
    yield Figure(
        "scaling",
        workload.name,
        f"{job}: the same by processor time",
        _by_processor_time(lambda: work(1), lambda: work(2)),
        "x",
        note="of the busier thread: what the clock shows where none has to wait for a core",
    )


def _by_processor_time(one: Callable[[], Any], two: Callable[[], Any]) -> float:
    """How many times as long one thread is busy as the busier of two: medians, taken in turn."""
    rounds = [(spent(one).busier, spent(two).busier) for _ in range(_ROUNDS)]
    alone, busier = zip(*rounds, strict=True)
    return statistics.median(alone) / statistics.median(busier)


def _searching(workload: Workload) -> Callable[[], Any]:
    forest = ours.build(workload)
    return lambda: _search(forest, 1)


def _search(forest: ours.Forest, num_threads: int) -> Any:
    return ours.search(
        forest, num_simulations=1_000, exploration=EXPLORATION, num_threads=num_threads
    )
