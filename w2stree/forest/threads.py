"""How many threads the core may use."""

from __future__ import annotations

import os

from w2stree.forest.arguments import whole


def num_threads_or_all(num_threads: int | None) -> int:
    """`num_threads`; for None one for each core this process may run on."""
    if num_threads is not None:
        return min(whole("num_threads", num_threads), 2**31 - 1)
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1
