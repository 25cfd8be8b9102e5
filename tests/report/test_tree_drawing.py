"""Drawn trees: the ones worth showing, and what they show."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ElementTree

import pytest
from support.cooking_runs import play
from support.strategies import episode

from w2stree import Step, Trajectory, build_forest
from w2stree.report.tree_drawing import choose_trees, draw_tree
from w2stree.report.tree_layout import LINE_HEIGHT, PILL_HEIGHT, lay_out


@pytest.mark.filterwarnings("ignore::w2stree.IdenticalTrajectories")  # the tree "luck"
def test_trees_are_chosen_for_what_they_show() -> None:
    forest = build_forest(
        [
            *(episode(a, r, "luck") for a, r in (("a", 1.0), ("A", 0.0))),  # no decision
            *(episode(a, r, "tie") for a, r in (("a", 0.5), ("b", 0.5))),  # nothing to learn
            *(episode(a, r, "narrow") for a, r in (("a", 0.5), ("b", 0.75))),
            *(episode(a, r, "wide") for a, r in (("a", 0.0), ("b", 1.0))),
            *(episode(a, r, "rich") for a, r in (("ac", 0.0), ("ad", 0.5), ("b", 1.0))),
        ]
    )
    assert [tree.task_id for tree in choose_trees(forest)] == ["rich", "wide", "narrow"]
    assert [tree.task_id for tree in choose_trees(forest, limit=1)] == ["rich"]


def test_trees_too_large_to_read_are_left_out_unless_alone() -> None:
    large = [
        Trajectory("large", (), (Step(f"a{i}", ""), Step("b", "")), i / 100, "done")
        for i in range(101)
    ]
    small = [episode("a", 0.0, "small"), episode("b", 0.1, "small")]
    assert [t.task_id for t in choose_trees(build_forest([*large, *small]))] == ["small"]
    assert [t.task_id for t in choose_trees(build_forest(large))] == ["large"]


def test_a_very_deep_tree_is_drawn() -> None:
    """Deeper than Python recurses: each trajectory ends on the next one's way."""
    tree = build_forest([episode("a" * n, 0.5) for n in range(1, 1101)])["task"]
    assert draw_tree(tree).count("<g class=") == 1101


def test_drawing_says_what_the_tree_says() -> None:
    """a b c d e f g | a b (ends inside) | h H (luck): labels, notes, marks and the bold path."""
    runs = [episode("abcdefg", 1.0), episode("ab", 0.5), episode("h", 0.0), episode("H", 0.25)]
    forest = build_forest(runs)
    svg = draw_tree(forest["task"], int(forest.search().best_end_node[0]))
    root = ElementTree.fromstring(svg)
    labels = ["".join(t.itertext()) for t in root.iter() if t.get("class", "").startswith("action")]
    assert sorted(labels) == ["a > bab", "c > d > e > f > gcd… 2 more …g", "hh", "hh"]
    best = [t.get("class") for t in root.iter() if "best" in t.get("class", "")]
    assert best.count("edge best") == 2
    notes = ["".join(t.itertext()) for t in root.iter() if t.get("class") == "note"]
    assert notes == ["4 runs", "2 runs1 ends here", "1 run", "1 run", "1 run"]
    kinds = [t.get("class") for t in root.iter() if t.get("class", "").startswith("node")]
    assert kinds == ["node decision environment", "node", "node", "node", "node"]


def test_nothing_overlaps_in_a_drawing() -> None:
    """Within a column, labels above and notes below a node keep clear of the next node's."""
    tasks = [f"cookingworld/train/{i}" for i in range(30)]
    forest = build_forest(play(tasks, 0.8, num_runs=7, seed=5))
    for task_id in forest:
        layout = lay_out(forest[task_id])
        columns: dict[float, list[tuple[float, float]]] = {}
        for node in layout.root.walk():
            top = min(node.y - PILL_HEIGHT / 2, node.y - len(node.labels) * LINE_HEIGHT)
            bottom = node.y + PILL_HEIGHT / 2 + 12 * len(node.notes)
            columns.setdefault(node.x, []).append((top, bottom))
            assert top >= 0 and bottom <= layout.height and node.x <= layout.width
        for spans in columns.values():
            spans.sort()
            assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))
