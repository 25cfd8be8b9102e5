"""The file that `write_view` makes: what is in it, and what a browser may do with it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.looked_at import MIXED, looked_at
from support.random_forests import random_trajectories

import w2stree as w2s
from w2stree.errors import InvalidInput
from w2stree.forest import build_forest_from_ids
from w2stree.forest.forest import Forest
from w2stree.viewer import OpenAt, write_view
from w2stree.viewer.packing import narrow, packed, unpacked
from w2stree.viewer.page import FIRST_LINE, data_of, is_view

pytestmark = pytest.mark.filterwarnings("ignore::w2stree.errors.IdenticalTrajectories")


def written(forest: Forest, path: Path, **options: Any) -> tuple[dict[str, Any], Columns]:
    write_view(forest, path, **options)
    return unpacked(data_of(path.read_bytes()))


Columns = dict[str, NDArray[Any]]


def text(columns: Columns, number: int) -> str:
    begin, end = columns["text_start"][number : number + 2].tolist()
    return columns["text"][begin:end].tobytes().decode()


def followed(columns: Columns) -> Columns:
    """What the page makes of depths and endings (viewer/src/forest.ts), the slow way."""
    depth = columns["depth"].tolist()
    size = len(depth)
    first = np.concatenate([[0], np.cumsum(columns["num_terminal"], dtype=np.int64)])[:-1]
    after = np.append(first, len(columns["run"]))
    parent, subtree_end = [-1] * size, [size] * size
    for node, d in enumerate(depth):
        later = (n for n in range(node + 1, size) if depth[n] <= d)
        subtree_end[node] = next(later, size)
        if d:
            parent[node] = max(n for n in range(node) if depth[n] == d - 1)
    return {
        "parent": np.array(parent),
        "subtree_end": np.array(subtree_end),
        "first_trajectory": first,
        "num_trajectories": after[subtree_end] - first,
    }


@pytest.mark.parametrize("seed", range(40))
def test_four_columns_say_the_whole_tree(seed: int, tmp_path: Path) -> None:
    forest = w2s.build_forest(random_trajectories(Random(seed)))
    _, columns = written(forest, tmp_path / "view.html")
    for name, made in followed(columns).items():
        np.testing.assert_array_equal(made, getattr(forest, name), err_msg=name)
    np.testing.assert_array_equal(columns["run"], forest.trajectory_order)
    np.testing.assert_array_equal(columns["run_return"], forest.total_return[columns["run"]])
    assert columns["pair_count"].sum() == forest.count_pairs()


def test_texts_are_those_of_the_runs(tmp_path: Path) -> None:
    runs = [run for run in looked_at() if run.status != "error"]
    places = [f"log.jsonl:{i + 1}" for i in range(len(runs))]
    header, columns = written(w2s.build_forest(runs), tmp_path / "view.html", places=places)
    assert header["success_at"] == 1.0
    step = 0
    for position, index in enumerate(columns["run"].tolist()):
        run = runs[index]
        assert text(columns, columns["run_place"][position]) == places[index]
        assert ("done", "truncated")[columns["run_status"][position]] == run.status
        message = columns["prompt_start"][columns["run_prompt"][position]]
        assert text(columns, columns["message_text"][message]) == run.prompt[0].content
        for said in run.steps:
            assert text(columns, columns["step_response"][step]) == said.response
            step += 1


def test_an_observation_that_was_merged_is_kept_as_it_was(tmp_path: Path) -> None:
    prompt = (w2s.Message("user", "Go."),)
    runs = [
        w2s.Trajectory("t", prompt, (w2s.Step("look", f"You see {n} cups."),), float(n), "done")
        for n in (0, 1)
    ]
    forest = w2s.build_forest(runs, merging=w2s.Merging(normalize_observation="numbers"))
    assert forest.num_nodes == 2
    _, columns = written(forest, tmp_path / "view.html")
    assert columns["step_observation"][0] == 0  # the node's own
    assert text(columns, columns["step_observation"][1] - 1) == "You see 1 cups."


def test_a_saved_forest_has_no_words_of_runs(tmp_path: Path) -> None:
    w2s.build_forest(looked_at()).save(tmp_path / "x.forest")
    _, columns = written(w2s.open_forest(tmp_path / "x.forest"), tmp_path / "view.html")
    assert "step_response" not in columns
    assert "run_place" not in columns


def test_recombined_paths_follow_the_tree_as_far_as_they_do(tmp_path: Path) -> None:
    forest = w2s.build_forest(looked_at())
    best = next(run for run in looked_at() if run.task_id == MIXED)
    other = replace(best, steps=(*best.steps[:2], w2s.Step("dry", "You dry.")), total_return=1.0)
    _, columns = written(forest, tmp_path / "view.html", recombined=[best, other])
    assert forest.depth[columns["path_node"]].tolist() == [3, 2]
    assert columns["path_start"].tolist() == [0, 3, 6]
    stranger = replace(best, task_id="elsewhere")
    with pytest.raises(InvalidInput, match="elsewhere"):
        write_view(forest, tmp_path / "view.html", recombined=[stranger])


def test_nothing_in_a_text_can_become_a_program(tmp_path: Path) -> None:
    evil = "</script><script>alert(1)</script>\x1b[2J\u202e\udc80"
    run = w2s.Trajectory(evil, (), (w2s.Step(evil, evil),), 1.0, "done")
    path = tmp_path / "view.html"
    _, columns = written(w2s.build_forest([run]), path, title=evil)
    page = path.read_bytes()
    assert b"alert(1)" not in re.sub(rb"<title>.*</title>", b"", page)
    assert page.count(b"<script") == 2
    assert rb"\x1b[2J\u202e\udc80</title>" in page
    assert text(columns, columns["task"][0]) == evil.replace("\udc80", r"\udc80")


def test_the_page_may_run_one_script_and_fetch_nothing(tmp_path: Path) -> None:
    path = tmp_path / "view.html"
    write_view(w2s.build_forest(looked_at()), path)
    page = path.read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    told = dict(part.strip().split(" ", 1) for part in policy[1].split(";"))
    assert told["default-src"] == "'none'"
    assert told["script-src"].startswith("'sha256-")
    assert set(told) == {"default-src", "script-src", "style-src", "base-uri", "form-action"}
    assert not re.findall(r"(?:src|href)=", page.replace("script-src=", ""))
    assert "innerHTML" not in page


def test_a_tree_may_have_no_runs(tmp_path: Path) -> None:
    ids = np.array([0], np.int32)
    lone = build_forest_from_ids(ids, ids, np.array([0, 1]), ids, np.array([7.0]), num_trees=2)
    header, columns = written(lone, tmp_path / "lone.html")
    assert columns["depth"].tolist() == [0, 1, 0]
    assert header["success_at"] is None  # nobody says what a return of 7 is


def test_equal_forests_give_equal_files(tmp_path: Path) -> None:
    for name in ("a.html", "b.html"):
        write_view(w2s.build_forest(looked_at()), tmp_path / name)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    assert is_view(tmp_path / "a.html")
    (tmp_path / "c.html").write_bytes(FIRST_LINE[:-3])
    assert not is_view(tmp_path / "c.html")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"open_at": OpenAt(node=99)}, "node 99"),
        ({"open_at": OpenAt(task="none")}, "'none'"),
        ({"open_at": OpenAt(runs=(0, 7))}, "run 7"),
        ({"open_at": OpenAt(runs=(0, 2))}, "two tasks"),
        ({"open_at": OpenAt(task=MIXED, node=0)}, "node=0 is of two tasks"),
        ({"open_at": OpenAt(node=13, runs=(0, 1))}, "node=13&runs=0,1 is of two tasks"),
        ({"places": ["a"]}, "1 places for 7 runs"),
        ({"min_gap": float("nan")}, "min_gap"),
    ],
)
def test_what_is_not_there_is_refused(options: dict[str, Any], told: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=told):
        write_view(w2s.build_forest(looked_at()), tmp_path / "view.html", **options)
    assert not list(tmp_path.iterdir())


def test_a_place_is_an_address() -> None:
    assert (
        OpenAt(task="cook/3", node=17, runs=(3, 9)).fragment() == "task=cook%2F3&node=17&runs=3,9"
    )


def test_columns_lie_at_multiples_of_eight() -> None:
    columns = {"a": np.arange(3, dtype=np.uint8), "b": np.array([0.5, -1]), "c": np.empty(0, "i4")}
    content = packed({"version": 1}, columns)
    header, again = unpacked(content)
    assert header == {"version": 1}
    for name, column in columns.items():
        np.testing.assert_array_equal(again[name], column)
    assert len(content) % 8 == 0
    with pytest.raises(InvalidInput, match="int64"):
        packed({}, {"a": np.arange(3)})
    assert narrow(np.array([0, 256])).dtype == np.uint16
    with pytest.raises(InvalidInput, match="fewer tasks"):
        narrow(np.array([2**40]))
