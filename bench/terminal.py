"""How fast a view in a terminal is: `python -m bench.terminal` (--large: a million nodes too).

The forests of `bench.viewer`, and one task of 80,000 nodes all open. Of each thing the
milliseconds by the clock, the median of several, from the key until its frame is drawn (textual's
own driver without a terminal, 120 columns, 40 lines), and those of the processor, which a busy
machine changes little.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable

import w2stree as w2s
from bench.viewer import numbered, worded
from w2stree.cli.terminal.app import ForestApp
from w2stree.cli.terminal.looked_at import LookedAt

SIZE = (120, 40)
TIMES = 9


async def timed(name: str, act: Callable[[], Awaitable[None]], times: int = TIMES) -> None:
    by_clock, by_processor = [], []
    for _ in range(times):
        clock, processor = time.perf_counter(), time.process_time()
        await act()
        by_clock.append(time.perf_counter() - clock)
        by_processor.append(time.process_time() - processor)
    middle = (1000 * statistics.median(values) for values in (by_clock, by_processor))
    print(f"  {name:<34}{next(middle):>10.0f}{next(middle):>12.0f}", flush=True)


async def figures(forest: w2s.Forest) -> None:
    print(f"\n{forest.num_nodes:,} nodes, {len(forest):,} tasks")
    print(f"  {'':<34}{'median':>10}{'processor':>12}   ms")

    async def opened() -> None:
        app = ForestApp(LookedAt(forest, title="bench"))
        async with app.run_test(size=SIZE) as pilot:
            await pilot.pause()

    await timed("open, and close", opened, 3)
    app = ForestApp(LookedAt(forest, title="bench"))
    async with app.run_test(size=SIZE) as pilot:

        async def press(*keys: str) -> None:
            await pilot.press(*keys)
            await pilot.pause()

        await timed("a line down, in the table", lambda: press("down"))
        await press("enter", "e")
        await timed("a line down, in the tree, all open", lambda: press("down"))
        await timed("to its end and back", lambda: press("end", "home"))
        await timed("fold all, open all", lambda: press("z", "e"))
        await timed("the best run whole, and back", lambda: press("r", "escape"))
        for query in ("mug pan", "zebra"):

            async def search(query: str = query) -> None:
                app.search(query)
                await pilot.pause()

            await timed(f"search {query!r}", search, 3)


def main() -> None:
    asyncio.run(figures(w2s.build_forest(worded(1000, 7, 24))))
    asyncio.run(figures(numbered(1, 5_000, 24)))
    if "--large" in sys.argv:
        asyncio.run(figures(numbered(2000, 20, 30)))


if __name__ == "__main__":
    sys.exit(main())
