"""The trees of a report: a view of all of them in its page, some of them as text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.page_sources import needs_browser, needs_packages, node
from support.reported_run import make_run, run_stage
from support.small_report import Page

from w2stree.experiment.stages import shown_trees
from w2stree.viewer.packing import unpacked
from w2stree.viewer.page import data_of


def framed_view(page: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The header and the columns of the view in a page."""
    (frame,) = [attributes for tag, attributes in Page(page).tags if tag == "iframe"]
    assert frame["sandbox"] == "allow-scripts"
    return unpacked(data_of((frame["srcdoc"] or "").encode()))


def test_the_page_has_a_view_of_all_trees(files: dict[str, str]) -> None:
    tags = Page(files["report.html"]).tags
    assert [attributes.get("class") for _, attributes in tags].count("chart") == 2
    header, columns = framed_view(files["report.html"])
    assert header["in_frame"] is True
    assert len(columns["task"]) == 40
    assert len(columns["run"]) == 40 * 6
    rows = json.loads(files["report.json"])["why"]["rows"]["rows"]
    assert columns["row_node"].tolist() == [row["node"] for row in rows]
    assert [columns["depth"][row["node"]] for row in rows] == [row["depth"] for row in rows]
    places = [attributes["data-place"] for _, attributes in tags if "data-place" in attributes]
    assert places[:5] == [f"node={row['node']}" for row in rows]
    assert len(places) == 5 + 4  # and the trees that show most
    assert header["open_at"] == places[5]


def test_the_view_has_the_best_paths_of_the_run(tmp_path: Path) -> None:
    """Those of its own search, whatever its settings."""
    context = make_run(tmp_path / "run", search={"num_simulations": 3, "num_paths": 2})
    page = run_stage(context, tmp_path / "report")["report.html"]
    record = json.loads((tmp_path / "run" / "tree" / "best_paths.json").read_text())
    assert framed_view(page)[1]["best_node"].tolist() == [path["end_node"] for path in record]
    assert len(record) > 40


def test_trees_stand_as_text_where_no_view_can_be_opened(files: dict[str, str]) -> None:
    trees = files["report.md"].split("## Some of the trees\n")[1].split("\n## ")[0]
    assert trees.count("decision divergence") == 4
    assert trees.replace("\n    ", "\n").count("\n|- ") >= 4
    text = "".join(Page(files["report.html"]).text)
    for line in trees.splitlines():
        if line.startswith("    "):
            assert line[4:] in text


def test_too_much_text_for_a_page_is_left_to_the_view(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = make_run(tmp_path / "run", num_tasks=20)
    monkeypatch.setattr(shown_trees, "_MOST_CHARACTERS", 1_000)
    page = Page(run_stage(context, tmp_path / "report")["report.html"])
    assert not {"iframe", "script"} & {tag for tag, _ in page.tags}
    assert "data-place" not in {name for _, attributes in page.tags for name in attributes}
    assert f"w2stree view {tmp_path / 'run'} -o trees.html" in "".join(page.text)


@needs_packages
@needs_browser
def test_a_reader_goes_from_a_row_to_its_tree(files: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text(files["report.html"])
    rows = json.loads(files["report.json"])["why"]["rows"]["rows"]
    places = json.dumps([row["node"] for row in rows])
    assert node("report.mjs", str(tmp_path / "report.html"), places).strip() == "read"
