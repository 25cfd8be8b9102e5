"""The view in a real browser, and its bundle made of its sources."""

from __future__ import annotations

import json
from pathlib import Path

from support.looked_at import MIXED, looked_at
from support.page_sources import EVIL, WEB, needs_browser, needs_packages, node

import w2stree as w2s
from w2stree.viewer import MadeRow, write_view


@needs_packages
def test_the_bundle_is_what_its_sources_give() -> None:
    node("build.mjs", "--check")


@needs_packages
def test_the_sources_are_of_the_types_they_say() -> None:
    node("node_modules/typescript/bin/tsc", "--noEmit")


def test_the_lock_file_names_no_host() -> None:
    assert '"resolved"' not in (WEB / "package-lock.json").read_text(encoding="utf-8")


@needs_packages
@needs_browser
def test_a_reader_finds_everything(tmp_path: Path) -> None:
    prompt = (w2s.Message("user", "Say it."),)
    evil = w2s.Trajectory(EVIL, prompt, (w2s.Step(EVIL, EVIL, EVIL),), 0.0, "done")
    forest = w2s.build_forest([*looked_at(), evil])
    view = tmp_path / "view.html"
    root = forest[MIXED].root
    made = MadeRow(
        place="rows.jsonl:1",
        task_id=MIXED,
        node=root + 1,
        depth=1,
        gap=0.5,
        chosen="Action: take",
        rejected="Action: wait",
    )
    write_view(forest, view, rows=[made], recombined=[evil])
    best = forest.search().path_end_node
    is_best = [int(any(n in forest.path_to(int(e)) for e in best)) for n in range(forest.num_nodes)]
    expected = {
        "arrays": {
            "parent": forest.parent.tolist(),
            "subtreeEnd": forest.subtree_end.tolist(),
            "first": forest.first_trajectory.tolist(),
            "count": forest.num_trajectories.tolist(),
            "isBest": is_best,
        },
        "tasks_pattern": r"4 tasks, 8 runs, 2 pairs",
        "task": MIXED,
        "root": root,
        "num_rows": 5,
        "node": root + 1,
        "query": "thought: wash",
        "num_found": 1,
        "evil": forest[EVIL].root + 1,
    }
    file = tmp_path / "expected.json"
    file.write_text(json.dumps(expected), encoding="utf-8")
    assert node("walk.mjs", str(view), str(file)).strip() == "walked"


@needs_packages
@needs_browser
def test_what_is_long_large_or_strange_can_be_read(tmp_path: Path) -> None:
    """Found by hand: 20,000 steps took half a second a click, and lost a digit of their number;
    scores lay over one another; a name was cut in the midst of a character; and on a phone every
    address led to the table."""
    prompt = (w2s.Message("user", "Go."),)
    long = tuple(w2s.Step(f"step {k}", "On.") for k in range(20_000))
    runs = [w2s.Trajectory("long", prompt, long, 0.0, "done")]
    scores = (-3.5, 12345.678, 0.00001, 1e9)
    runs += [w2s.Trajectory("score", prompt, (w2s.Step(f"{s}", ""),), s, "done") for s in scores]
    runs += [w2s.Trajectory("\U0001f373" * 12, prompt, (w2s.Step("fry", ""),), 1.0, "done")]
    write_view(w2s.build_forest(runs), tmp_path / "view.html")
    assert node("odd.mjs", str(tmp_path / "view.html")).strip() == "walked"


@needs_packages
@needs_browser
def test_the_keys_that_work_are_those_that_are_listed(tmp_path: Path) -> None:
    write_view(w2s.build_forest(looked_at()), tmp_path / "view.html")
    assert node("keys.mjs", str(tmp_path / "view.html")).strip() == "pressed"
