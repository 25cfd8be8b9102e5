"""The view in a cell of a notebook: what the kernel holds, and what a real browser does with it."""

from __future__ import annotations

import base64
import importlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from support.looked_at import LOST, MIXED, looked_at
from support.page_sources import EVIL, needs_browser, needs_packages, node

import w2stree as w2s
from w2stree.errors import InvalidInput, MissingDependency
from w2stree.viewer import OpenAt, write_view
from w2stree.viewer.packing import unpacked
from w2stree.viewer.page import data_of

pytest.importorskip("anywidget")
from w2stree.viewer.forest_widget import ForestWidget


def said(widget: ForestWidget, node: Any, *runs: Any) -> None:
    """As the browser's side sends it."""
    widget.set_state({"selected": {"node": node, "runs": list(runs)}})


def sent(widget: ForestWidget) -> Any:
    """As the browser's side gets it."""
    return widget.get_state()["selected"]


def test_it_holds_the_page_of_the_file(tmp_path: Path) -> None:
    runs = looked_at()
    places = [f"log.jsonl:{i}" for i in range(1, 8)]
    options: dict[str, Any] = {"title": "Mine", "places": places, "min_gap": 0.75}
    widget = ForestWidget(runs, **options)
    write_view(w2s.build_forest(runs), tmp_path / "view.html", **options)
    header, columns = unpacked(data_of(widget.get_state()["_page"]))
    header_of_file, of_file = unpacked(data_of((tmp_path / "view.html").read_bytes()))
    assert columns.keys() == of_file.keys()
    assert all((columns[name] == of_file[name]).all() for name in columns if name != "step_reward")
    assert header.pop("in_frame") is True
    assert header_of_file.pop("in_frame") is False  # a file tells nobody where one is
    assert header == header_of_file


def test_a_forest_is_taken_as_it_is() -> None:
    forest = w2s.build_forest(looked_at())
    widget = ForestWidget(forest)
    assert widget.forest is forest
    assert widget.selected == OpenAt()
    assert widget.selected_runs == []


def test_what_is_selected_there_is_selected_here() -> None:
    widget = ForestWidget(looked_at())
    forest = widget.forest
    seen = []
    widget.observe(lambda change: seen.append(change["new"]), "selected")
    root = forest[MIXED].root
    said(widget, root + 1)
    assert seen == [OpenAt(task=MIXED, node=root + 1)]
    assert widget.selected_trajectories == forest[MIXED].trajectories
    said(widget, root, 6, 4)
    assert widget.selected == OpenAt(task=MIXED, node=root, runs=(6, 4))
    assert [run.total_return for run in widget.selected_trajectories] == [0.0, 1.0]
    said(widget, -1)
    assert widget.selected == OpenAt()


def test_what_is_selected_here_is_sent_there() -> None:
    widget = ForestWidget(looked_at(), open_at=OpenAt(task=LOST))
    root = widget.forest[LOST].root
    assert widget.selected == OpenAt(task=LOST, node=root)
    assert sent(widget) == {"node": root, "runs": []}
    widget.selected = OpenAt(runs=(2, 3))
    assert sent(widget) == {"node": root + 1, "runs": [2, 3]}  # where they part
    widget.selected = OpenAt(runs=(3,))
    assert sent(widget) == {"node": int(widget.forest.end_node[3]), "runs": [3]}
    assert widget.selected_runs == [3]


@pytest.mark.parametrize(
    "told",
    [
        {"node": 99, "runs": []},
        {"node": 0, "runs": [0, 1, 2]},
        {"node": 0, "runs": [7]},
        {"node": 0, "runs": [4, 5]},  # of another task
        {"node": "0", "runs": []},
        {"node": 0.0, "runs": []},
        {"node": True, "runs": []},
        {"node": 0},
        {"node": 0, "runs": 3},
        None,
        "node=0",
    ],
)
def test_what_no_page_says_changes_nothing(told: Any) -> None:
    widget = ForestWidget(looked_at(), open_at=OpenAt(node=2))
    before = widget.selected
    with pytest.raises(InvalidInput):
        widget.set_state({"selected": told})
    assert widget.selected == before


def test_what_the_forest_does_not_have_cannot_be_selected() -> None:
    widget = ForestWidget(looked_at())
    with pytest.raises(InvalidInput, match="selected: node 14; there are 14 nodes"):
        widget.selected = OpenAt(node=14)
    with pytest.raises(InvalidInput, match="open_at: node 14"):
        ForestWidget(looked_at(), open_at=OpenAt(node=14))
    assert widget.selected == OpenAt()


def test_without_anywidget_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "anywidget", None)
    monkeypatch.delitem(sys.modules, "w2stree.viewer.forest_widget")
    with pytest.raises(MissingDependency, match=r"pip install 'w2stree\[notebook\]'"):
        importlib.import_module("w2stree.viewer.forest_widget")


@needs_packages
@needs_browser
def test_a_reader_of_a_notebook_finds_everything(tmp_path: Path) -> None:
    prompt = (w2s.Message("user", "Say it."),)
    evil = w2s.Trajectory(EVIL, prompt, (w2s.Step(EVIL, EVIL, EVIL),), 0.0, "done")
    widget = ForestWidget([*looked_at(), evil], open_at=OpenAt(task=MIXED), height=620)
    forest = widget.forest
    state = widget.get_state()
    expected = {
        "esm": state["_esm"],
        "content": base64.b64encode(state["_page"]).decode(),
        "state": {name: state[name] for name in ("selected", "height")},
        "task": MIXED,
        "child": forest[MIXED].root + 1,
        "other": forest[LOST].root,
        "other_task": LOST,
        "evil": forest[EVIL].root + 1,
    }
    file = tmp_path / "widget.json"
    file.write_text(json.dumps(expected), encoding="utf-8")
    assert node("cell.mjs", str(file)).strip() == "read"
