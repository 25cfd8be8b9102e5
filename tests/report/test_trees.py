"""The trees that a report speaks about: those worth showing, and what they show as text."""

from __future__ import annotations

import pytest
from support.strategies import episode

from w2stree import Step, Trajectory, build_forest
from w2stree.report.trees import choose_trees, still


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


def large(num_runs: int) -> list[Trajectory]:
    return [
        Trajectory("large", (), (Step(f"a{i}", ""), Step("b", "")), i / 100, "done")
        for i in range(num_runs)
    ]


def test_trees_too_large_to_read_are_left_out_unless_alone() -> None:
    small = [episode("a", 0.0, "small"), episode("b", 0.1, "small")]
    assert [t.task_id for t in choose_trees(build_forest([*large(101), *small]))] == ["small"]
    assert [t.task_id for t in choose_trees(build_forest(large(101)))] == ["large"]


def test_a_still_is_the_drawn_tree_and_of_a_long_one_its_beginning() -> None:
    whole = build_forest(large(39))["large"]
    assert still(whole) == whole.drawn()
    assert len(still(whole).split("\n")) == 41
    tree = build_forest(large(101))["large"]
    lines, drawn = still(tree).split("\n"), tree.drawn().split("\n")
    assert lines == [*drawn[:39], "(63 more lines)", drawn[-1]]
    assert len(drawn) == 39 + 63 + 1


def test_a_very_deep_tree_has_a_still() -> None:
    """Deeper than Python recurses: each trajectory ends on the next one's way."""
    tree = build_forest([episode("a" * n, 0.5) for n in range(1, 1101)])["task"]
    assert "(1062 more lines)" in still(tree)
