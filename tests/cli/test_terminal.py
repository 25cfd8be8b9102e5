"""`w2stree view --terminal`: the app itself, driven by its keys."""

from __future__ import annotations

import re
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from support.looked_at import LOST, MIXED, WON, looked_at
from support.random_forests import random_trajectories

import w2stree as w2s
from w2stree.forest import build_forest_from_ids

pytest.importorskip("textual")
from support.terminal_reader import EVIL, SHOWN, Reader, hostile, looking

from w2stree.cli.terminal.hits import Hits
from w2stree.cli.terminal.lines import Lines
from w2stree.cli.terminal.outline import Outline
from w2stree.cli.terminal.text_pane import broken

pytestmark = pytest.mark.filterwarnings("ignore::w2stree.errors.IdenticalTrajectories")


@pytest.fixture(scope="module")
def forest() -> w2s.Forest:
    return w2s.build_forest(looked_at())


PLACES = [f"log.jsonl:{i}" for i in range(1, 8)]


# The table of tasks -----------------------------------------------------------------------------


def test_tasks_are_a_table_to_sort_and_filter(forest: w2s.Forest) -> None:
    async def test(at: Reader) -> None:
        assert at.title == "log.jsonl | 3 of 3 tasks | 7 runs, 14 nodes"
        assert at.columns.split() == ["runs", "success", "return", "spread", "pairs", "task"]
        assert [line.split() for line in at.lines("#list")] == [
            ["2", "2/2", "1.00", "0", "0", WON],
            ["2", "0/2", "0.00", "0", "0", LOST],
            ["3", "1/3", "0.50", "1", "2", MIXED],
        ]
        await at.press("s", "s")  # by task, then by runs
        assert "runs▼" in at.columns
        assert [line.split()[-1] for line in at.lines("#list")] == [MIXED, WON, LOST]
        await at.press("S")
        assert "runs▲" in at.columns
        assert [line.split()[-1] for line in at.lines("#list")] == [WON, LOST, MIXED]
        await at.press("o", "o")
        assert [line.split()[-1] for line in at.lines("#list")] == [MIXED]
        assert "1 of 3 tasks, some successes" in at.title
        await at.press("o", "o", "f", *"COOK", "enter")
        assert [line.split()[-1] for line in at.lines("#list")] == [WON, LOST]
        assert '2 of 3 tasks, with "COOK"' in at.title
        await at.press("f", "escape")
        assert len(at.lines("#list")) == 3

    looking(forest, test)


def test_outcomes_need_to_know_what_a_success_is() -> None:
    runs = [w2s.Trajectory("t", (), (w2s.Step("a", "b"),), 7.0, "done")]

    async def test(at: Reader) -> None:
        await at.press("o")
        assert len(at.lines("#list")) == 1
        assert at.lines("#list")[0].split()[1] == "-"

    looking(w2s.build_forest(runs), test)


# A tree ------------------------------------------------------------------------------------------


def test_a_task_opens_as_an_outline_with_whole_texts(forest: w2s.Forest) -> None:
    async def test(at: Reader) -> None:
        await at.press("down", "down", "enter")
        assert at.title == MIXED
        assert [line.split("n=")[0].strip() for line in at.lines("#outline")] == [
            f"▌▾ {MIXED}", "▌▾ look", "▌▾ take", "▌  wash", "▌  wait"
        ]  # fmt: skip
        assert at.lines("#outline")[1].endswith("n=3 r=0.50 *^")
        text = at.all_lines("#text")
        assert text[:2] == ["Task", "3 runs, mean return 0.500 (0 to 1), 1 success, "
                            "on a best path of the search"]  # fmt: skip
        assert f"  Your task is {MIXED}." in text
        await at.press("down")
        assert at.title == f"{MIXED}, step 1"
        text = at.all_lines("#text")
        assert "2 pairs made here" in text[1]
        for line in ("  look", "  Thought: look?", "  Action: look", "  You look."):
            assert line in text
        assert "Here runs part: 2 actions" in text
        assert text[-3:] == [
            "  1  done after 3 steps  log.jsonl:5",
            "  0.5  done after 2 steps  log.jsonl:6",
            "  0  done after 2 steps  log.jsonl:7",
        ]
        await at.press("r")
        text = at.all_lines("#text")
        assert text[:2] == ["One run, whole", "log.jsonl:5: return 1, done after 3 steps, "
                            "policy script, sample 4, seed 0, temperature 0.5"]  # fmt: skip
        assert "  3. wash" in text
        await at.press("escape")
        assert at.all_lines("#text")[0] == "Step 1"
        await at.press("escape")
        assert at.app.focused is not None and at.app.focused.id == "list"
        assert at.app.query_one("#list").cursor == 2  # type: ignore[attr-defined]

    looking(forest, test, places=PLACES, size=(220, 30))


def test_branches_fold_and_open(forest: w2s.Forest) -> None:
    async def test(at: Reader) -> None:
        def words() -> list[str]:
            return [line.split("n=")[0].strip("▌ ") for line in at.lines("#outline")]

        await at.press("left")
        assert words() == [f"▾ {MIXED}", "▸ look"]
        await at.press("right", "right")
        assert words() == [f"▾ {MIXED}", "▾ look", "▾ take", "wash", "wait"]
        assert at.title.endswith("step 2")
        await at.press("z")
        assert words() == [f"▾ {MIXED}", "▸ look"]
        await at.press("e", "end")
        assert len(words()) == 5
        assert at.title.endswith("step 2")
        await at.press("left")  # a leaf: to where it branches
        assert at.title.endswith("step 1")
        await at.press("left_square_bracket")
        assert at.title == LOST
        await at.press("left_square_bracket", "left_square_bracket")
        assert at.title == WON

    looking(forest, test, node=forest[MIXED].root + 1)


def test_a_long_run_of_steps_is_one_line() -> None:
    steps = tuple(w2s.Step(f"go {i}", f"room {i}") for i in range(500))
    runs = [w2s.Trajectory("t", (), steps, 1.0, "done")]

    async def test(at: Reader) -> None:
        assert "▸ go 0 > go 1 > (497 steps) > go 499" in at.lines("#outline")[1]
        await at.press("down", "enter", "end")
        assert "go 499" in at.lines("#outline")[-1]
        assert at.title == "t, step 500"

    async def within(at: Reader) -> None:
        assert at.title == "t, step 300"
        assert any("go 299" in line for line in at.lines("#outline"))

    forest = w2s.build_forest(runs)
    looking(forest, test, node=0)
    looking(forest, within, node=300)


@pytest.mark.parametrize("seed", range(20))
def test_lines_are_those_of_the_definition(seed: int) -> None:
    """A node has a line unless something above it, or the head of its own run, is folded."""
    forest = w2s.build_forest(random_trajectories(Random(seed)))
    draw = np.random.default_rng(seed)
    outline = Outline(forest)
    parent = forest.parent.tolist()

    def is_passed(n: int) -> bool:
        return bool(forest.depth[n] and forest.num_children[n] == 1 and not forest.num_terminal[n])

    def head(n: int) -> int:
        while forest.depth[n] > 1 and is_passed(parent[n]):
            n = parent[n]
        return n

    for task in forest:
        root = forest[task].root
        nodes = range(root, int(forest.subtree_end[root]))
        outline.show(root)
        for n in nodes:
            if head(n) == n and n != root:
                outline.set_open(n, bool(draw.integers(2)))
        above = {n: forest.path_to(n)[:-1] for n in nodes}
        is_there = [
            n for n in nodes
            if all(outline.is_open(head(a)) for a in above[n])
            and (head(n) == n or outline.is_open(head(n)))
        ]  # fmt: skip
        assert outline.nodes.tolist() == is_there
        levels = [len({head(a) for a in forest.path_to(n)}) - 1 for n in is_there]
        assert outline.levels.tolist() == levels
        for n in nodes:
            outline.reveal(n)
            assert outline.nodes[outline.line_of(n)] == n or outline.head_of(n) == n
        outline.set_all(False)
        assert all(outline.is_head(n) for n in outline.nodes.tolist())


# Search ------------------------------------------------------------------------------------------


def test_search_finds_what_runs_said_and_what_was_asked(forest: w2s.Forest) -> None:
    async def test(at: Reader) -> None:
        assert "Next" not in at.footer()
        await at.press("slash", *"Thought: WASH", "enter")
        assert at.title.startswith('1 place with "Thought: WASH" | ')
        assert [line.split()[0] for line in at.lines("#list")] == ["1", "0", "0"]
        assert "Next" in at.footer()
        await at.press("n")
        assert at.title.endswith(f"{MIXED}, step 3")
        await at.press("slash", *"your task", "enter")  # goes to the first that is found
        assert at.title == f'3 places with "your task" | {WON}'
        await at.press("n")
        assert at.title.endswith(LOST)
        await at.press("N", "N")
        assert at.title.endswith(MIXED)
        await at.press("slash", *"zebra", "enter")
        assert at.title.startswith('0 places with "zebra"')
        await at.press("n")
        await at.press("slash", "enter")
        assert at.title == MIXED

    looking(forest, test)


def test_hits_are_those_of_every_text(forest: w2s.Forest) -> None:
    for query in ("take", "YOU", "thought: wait", "your task", "cook/", "nothing"):
        expected = np.zeros(forest.num_nodes, bool)
        start = np.cumsum([0, *(len(run.steps) for run in forest.trajectories)])
        for i, run in enumerate(forest.trajectories):
            root = forest[run.task_id].root
            asked = [run.task_id, *(message.content for message in run.prompt)]
            expected[root] |= any(query.lower() in text.lower() for text in asked)
            for step, node in zip(run.steps, forest.step_node[start[i] :], strict=False):
                said = "\n".join((step.action, step.observation, step.response))
                expected[node] |= query.lower() in said.lower()
        hits = Hits(query, forest)
        assert hits.is_at.tolist() == expected.tolist(), query
        assert hits.by_tree().sum() == len(hits) == expected.sum()


# Texts of strangers, sizes ------------------------------------------------------------------------


def test_texts_are_shown_and_never_obeyed() -> None:
    async def test(at: Reader) -> None:
        assert SHOWN in at.lines("#list")[0]
        await at.press("enter")
        assert at.title == SHOWN
        assert f"  {SHOWN}" in at.all_lines("#text")
        await at.press("down")
        assert SHOWN[:30] in at.lines("#outline")[1]
        text = at.all_lines("#text")
        assert f"  {SHOWN}!" in text
        assert f"      {SHOWN}" in text  # a tab is a tab
        assert not re.search(r"[^\n -~▌▾▸]", "\n".join([*text, *at.lines("#outline")]))
        await at.press("r", "slash", *"[red]", "enter", "question_mark")

    looking(w2s.build_forest(hostile()), test, size=(220, 40), title=EVIL, places=[EVIL, EVIL])


def test_a_huge_text_is_there_to_its_end() -> None:
    huge = "word " * 400_000 + "END"
    steps = (w2s.Step("a", huge), w2s.Step("b" * 100_000, "字" * 99_999))
    run = w2s.Trajectory("t", (), steps, 0.0, "done")

    async def test(at: Reader) -> None:
        assert sum(line.count("word") for line in at.all_lines("#text")) == 400_000
        await at.press("tab", "G")
        await at.press("k", "k")
        assert any("END" in line for line in at.all_lines("#text"))

    looking(w2s.build_forest([run]), test, node=1)


@pytest.mark.parametrize("width", [2, 3, 7, 40])
def test_lines_are_broken_within_the_width(width: int) -> None:
    from rich.cells import cell_len

    for text in ("", "a b c", "word " * 9, "字字字字 ab 字", "x" * 99, "a\n\nb", " indented", EVIL):
        lines = list(broken(text, width))
        assert all(cell_len(line) <= max(2, width) for line in lines)
        kept = re.sub(r"\s", "", "".join(lines))
        shown = "".join(text.replace(EVIL, SHOWN).split())
        assert kept == shown


@pytest.mark.parametrize("size", [(10, 3), (20, 6), (40, 12), (60, 40), (90, 10), (250, 80)])
def test_every_size_will_do(size: tuple[int, int], forest: w2s.Forest) -> None:
    async def test(at: Reader) -> None:
        await at.press("down", "enter", "down", "tab")
        assert at.app.focused is not None and at.app.focused.id == "text"
        assert at.app.query_one("#text").region.width > 0
        assert at.app.query_one("#text").region.height > 0 or size[1] < 4
        await at.press("tab", "c", "G", "g", "escape")
        await at.press("question_mark", "escape", "t", "slash", *"take", "enter")
        await at.pilot.resize_terminal(100, 30)
        await at.pilot.pause()
        await at.press("escape", "f", *"cook", "enter")
        assert 'with "cook"' in at.title

    looking(forest, test, size=size)


def test_a_hundred_thousand_nodes_are_drawn_a_screen_at_a_time() -> None:
    draw = np.random.default_rng(0)
    num_runs, steps = 5_000, 24
    actions = draw.integers(0, 9, num_runs * steps).astype(np.int32)
    forest = build_forest_from_ids(
        actions,
        np.zeros(num_runs * steps, np.int32),
        np.arange(0, num_runs * steps + 1, steps),
        np.zeros(num_runs, np.int32),
        draw.random(num_runs),
    )
    assert forest.num_nodes > 100_000
    drawn = 0

    async def test(at: Reader) -> None:
        tree = at.app.query_one("#outline", Lines)
        own = tree.line

        def line(index: int, width: int) -> Any:
            nonlocal drawn
            drawn += 1
            return own(index, width)

        tree.line = line  # type: ignore[method-assign]
        await at.press("enter", "e")
        assert tree.count == forest.num_nodes
        await at.press("end", "home", "z", "pagedown")
        assert drawn < 100 * tree.size.height

    looking(forest, test)


def test_a_saved_forest_and_one_without_runs(forest: w2s.Forest, tmp_path: Path) -> None:
    async def test(at: Reader) -> None:
        await at.press("enter", "down", "c", "escape", "r", "tab", "slash", *"you", "enter", "n")

    forest.save(tmp_path / "x.forest")
    looking(w2s.open_forest(tmp_path / "x.forest"), test)
    ids = np.array([0], np.int32)
    looking(
        build_forest_from_ids(ids, ids, np.array([0, 1]), ids, np.array([7.0]), num_trees=2), test
    )

    async def empty(at: Reader) -> None:
        await at.press("enter", "n", "right_square_bracket")

    none = np.array([], np.int32)
    lone = build_forest_from_ids(none, none, np.array([0]), none, np.array([]), num_trees=1)
    looking(lone, empty)
    looking(lone, empty, node=0)
