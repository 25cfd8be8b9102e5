"""The same thing for each of many items, in as many environment processes as the pool has.

items      a  b  c  d          process 0: a, d       process 1: b, c
results    a  b  c  d          in the items' order, whichever process was free
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.environments.hosting.process import EnvironmentProcess
from w2stree.errors import EnvironmentFailure, EnvironmentNotStarted
from w2stree.shorten import excerpt

Item = TypeVar("Item")
Result = TypeVar("Result")


def side_by_side(
    pool: EnvironmentPool,
    items: Iterable[Item],
    play: Callable[[EnvironmentProcess, Item], Result],
    failed: Callable[[Item, str], Result],
) -> Iterator[Result]:
    """`play(process, item)` of each; where the environment fails, `failed(item, why)`.

    One thread for each process; a process whose environment failed is replaced. Raises
    `EnvironmentNotStarted`.
    """

    def of_item(slot: int, item: Item) -> Result:
        try:
            return play(pool[slot], item)
        except EnvironmentNotStarted:
            pool.replace(slot)
            raise
        except EnvironmentFailure as failure:
            pool.replace(slot)
            return failed(item, excerpt(str(failure)))

    return in_slots(len(pool), items, of_item)


def in_slots(
    num_slots: int, items: Iterable[Item], work: Callable[[int, Item], Result]
) -> Iterator[Result]:
    """`work(slot, item)` of each, in their order; one thread for each slot, and no slot twice at
    a time. What `work` raises comes at its item's turn, and ends it."""
    free: queue.SimpleQueue[int] = queue.SimpleQueue()
    for slot in range(num_slots):
        free.put(slot)

    def of_item(item: Item) -> Result:
        slot = free.get()
        try:
            return work(slot, item)
        finally:
            free.put(slot)

    with ThreadPoolExecutor(num_slots) as executor:
        try:
            yield from executor.map(of_item, items)
        finally:
            executor.shutdown(cancel_futures=True)
