"""Two runs side by side in a view in the terminal."""

from __future__ import annotations

import re

import pytest
from support.looked_at import MIXED, looked_at

import w2stree as w2s

pytest.importorskip("textual")
from support.terminal_reader import EVIL, SHOWN, Reader, hostile, looking

from w2stree.cli.terminal.lines import Lines

pytestmark = pytest.mark.filterwarnings("ignore::w2stree.errors.IdenticalTrajectories")

PLACES = [f"log.jsonl:{i}" for i in range(1, 8)]


@pytest.fixture(scope="module")
def forest() -> w2s.Forest:
    return w2s.build_forest(looked_at())


def test_the_best_run_stands_beside_the_worst_from_where_they_part(forest: w2s.Forest) -> None:
    async def test(at: Reader) -> None:
        await at.press("c")
        assert at.app.focused is not None and at.app.focused.id == "two"
        assert at.app.query_one("#outline").region.area == 0
        lines = at.all_lines("#two")
        assert lines[:2] == ["Two runs, from where they part", "1 step in common: look"]
        assert lines[3:5] == ["Where they stood", "  You look."]
        sides = [[side.strip() for side in line.split(" │ ")] for line in lines if " │ " in line]
        assert sides[1:3] == [["Return 1, chosen", "Return 0, rejected"],
                              ["log.jsonl:5", "log.jsonl:7"]]  # fmt: skip
        steps = sides[sides.index(["2. take", "2. wait"]) :]
        assert ["Action: take", "Action: wait"] in steps
        assert ["3. wash", "It has ended."] in steps
        assert len({line.index(" │ ") for line in lines if " │ " in line}) == 1
        assert at.footer() == {"Back", "Search", "Keys", "Quit"}
        await at.press("tab", "r", "c")
        assert at.app.focused.id == "two"
        await at.press("escape")
        assert at.app.focused.id == "outline"
        assert at.title == f"{MIXED}, step 1"
        await at.press("r", "c", "right_square_bracket", "left_square_bracket")
        assert at.app.focused.id == "outline"
        await at.press("end", "c")  # one run passes there
        assert at.all_lines("#text")[0] == "One run, whole"

    for size in ((120, 30), (80, 30), (60, 20)):
        node = forest[MIXED].root + 1
        looking(forest, test, places=PLACES, size=size, node=node)


def test_what_is_looked_for_is_marked_in_two_runs(forest: w2s.Forest) -> None:
    async def test(at: Reader) -> None:
        await at.press("c", "slash", *"ACTION: WAIT", "enter")
        assert at.app.query_one("#two").region.area == 0  # it goes to the place
        await at.press("left", "c")
        pane = at.app.query_one("#two", Lines)
        lines = [list(pane.line(i, 110)) for i in range(pane.count)]
        assert [part for line in lines for part in line if part[1] == "hit"] == [
            ("Action: wait", "hit")
        ]

    looking(forest, test, node=forest[MIXED].root + 1)


def test_runs_that_part_nowhere_or_at_once() -> None:
    def run(*actions: str) -> w2s.Trajectory:
        return w2s.Trajectory("t", (), tuple(w2s.Step(a, "") for a in actions), 0.5, "done")

    async def same(at: Reader) -> None:
        await at.press("c")
        lines = at.all_lines("#two")
        assert lines[1] == "2 steps in common: a > b"
        assert sum("Return 0.5 " in line for line in lines) == 1  # neither is the better one
        assert not any(". " in line for line in lines)

    async def at_once(at: Reader) -> None:
        await at.press("c")
        assert at.all_lines("#two")[1] == "They part at the first step"

    looking(w2s.build_forest([run("a", "b"), run("a", "b")]), same, node=0)
    looking(w2s.build_forest([run("a"), run("b")]), at_once, node=0)


def test_their_texts_are_shown_and_never_obeyed() -> None:
    async def test(at: Reader) -> None:
        await at.press("c")
        lines = at.all_lines("#two")
        assert any(SHOWN[:40] in line for line in lines)
        assert not re.search(r"[^\n -~│]", "\n".join(lines))

    looking(w2s.build_forest(hostile()), test, node=0, size=(220, 40), places=[EVIL, EVIL])
