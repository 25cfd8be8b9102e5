"""Who reads a view in a terminal: presses keys, and sees what is drawn. And texts of a stranger."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import w2stree as w2s

pytest.importorskip("textual")
from textual.pilot import Pilot

from w2stree.cli.terminal.app import ForestApp
from w2stree.cli.terminal.lines import Lines
from w2stree.cli.terminal.looked_at import LookedAt

EVIL = "\x1b[2J\x1b]0;owned\x07[red]bold[/red] [@click=app.quit]go[/] \u202e \u200b"
SHOWN = r"\x1b[2J\x1b]0;owned\x07[red]bold[/red] [@click=app.quit]go[/] \u202e \u200b"


def hostile() -> list[w2s.Trajectory]:
    prompt = (w2s.Message("user", EVIL),)
    return [
        w2s.Trajectory(
            EVIL, prompt, (w2s.Step(EVIL, f"{EVIL}\n\t{EVIL}", EVIL + "!"),), 0.0, "done"
        ),
        w2s.Trajectory(EVIL, prompt, (w2s.Step("", ""),), 1.0, "done"),
    ]


def looking(
    forest: w2s.Forest,
    test: Callable[[Reader], Awaitable[None]],
    *,
    size: tuple[int, int] = (110, 30),
    node: int | None = None,
    **options: Any,
) -> None:
    async def run() -> None:
        app = ForestApp(LookedAt(forest, **{"title": "log.jsonl", **options}), node=node)
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            await test(Reader(app, pilot))

    asyncio.run(run())


class Reader:
    """Who presses keys and reads what is drawn."""

    def __init__(self, app: ForestApp, pilot: Pilot[None]) -> None:
        self.app, self.pilot = app, pilot

    async def press(self, *keys: str) -> None:
        for key in keys:
            await self.pilot.press(key)
            await self.pilot.pause()

    def lines(self, selector: str) -> list[str]:
        """What a pane shows now, without the blanks at the ends."""
        pane = self.app.screen.query_one(selector, Lines)
        drawn = [pane.render_line(y).text.rstrip() for y in range(pane.size.height)]
        return [line for line in drawn if line]

    def all_lines(self, selector: str) -> list[str]:
        """All that there is to scroll to."""
        pane = self.app.screen.query_one(selector, Lines)
        return ["".join(text for text, _ in pane.line(i, 10_000)) for i in range(pane.count)]

    @property
    def title(self) -> str:
        return str(self.app.screen_stack[0].query_one("#title").render())

    @property
    def columns(self) -> str:
        return str(self.app.screen_stack[0].query_one("#columns").render())

    def footer(self) -> set[str]:
        shown = self.app.screen.active_bindings.values()
        return {b.binding.description for b in shown if b.binding.show and b.enabled}
