"""Forged forest files: every column fits the others, and yet it is no forest."""

from __future__ import annotations

import pytest
from support.forest_files import EPISODES, encode, forge, parse, patch, sections, values, with_rule
from support.strategies import episode

from w2stree import build_forest
from w2stree.errors import ForestFileError

pytestmark = pytest.mark.filterwarnings("ignore::w2stree.IdenticalTrajectories")

# The runs of a forest, the columns put in the place of its own, and what is then expected.
FORGED = {
    "siblings before children": (
        [episode("a", 1.0), episode("ab", 0.5), episode("c", 0.25), episode("d", 0.0)],
        {
            "action_id": [-1, 0, 2, 1, 3],
            "parent": [-1, 0, 0, 1, 0],
            "subtree_end": [5, 4, 3, 4, 5],
            "depth": [0, 1, 1, 2, 1],
            "num_actions": [3, 1, 0, 0, 0],
            "num_trajectories": [4, 2, 1, 1, 1],
            "num_terminal": [0, 1, 1, 1, 1],
            "first_trajectory": [0, 0, 2, 1, 3],
            "return_sum": [1.75, 1.5, 0.25, 0.5, 0.0],
            "end_chain": [1, 3, 2, 4],
        },
        "the chain whose next child this is, in pre-order",
    ),
    "a path cut into chains": (
        [episode("a", 0.5), episode("b", 0.5), episode("", 0.5)],
        {
            "parent": [-1, 0, 1],
            "subtree_end": [3, 3, 3],
            "depth": [0, 1, 2],
            "num_actions": [1, 1, 0],
            "num_trajectories": [3, 3, 3],
            "num_terminal": [0, 0, 3],
            "first_trajectory": [0, 0, 0],
            "return_sum": [1.5, 1.5, 1.5],
            "end_chain": [2, 2, 2],
            "trajectory_order": [0, 1, 2],
        },
        "at least 1 below a root, and fewer than at the parent",
    ),
    "a path nobody took": (
        [episode("a", 0.5), episode("b", 0.5), episode("ab", 0.5)],
        {
            "num_trajectories": [3, 2, 1, 0],
            "num_terminal": [1, 1, 1, 0],
            "first_trajectory": [0, 1, 2, 3],
            "return_sum": [1.5, 1.0, 0.5, 0.0],
            "end_chain": [0, 1, 2],
            "trajectory_order": [0, 1, 2],
        },
        "at least 1 below a root, and fewer than at the parent",
    ),
    "two paths in one slot": (
        [episode("aa", 0.5), episode("ab", 0.25), episode("d", 0.125)],
        {
            "action_id": [-1, 0, 0, 1, 2, 2],
            "observation_id": [-1, 0, 0, 0, 0, 0],
            "first_node": [0, 1, 2, 3, 4, 5, 6],
            "parent": [-1, 0, 1, 1, 1, 0],
            "subtree_end": [6, 5, 3, 4, 5, 6],
            "depth": [0, 1, 2, 2, 2, 1],
            "num_actions": [2, 3, 0, 0, 0, 0],
            "num_trajectories": [3, 2, 1, 1, 1, 1],
            "num_terminal": [0, 0, 1, 1, 1, 1],
            "first_trajectory": [0, 0, 0, 1, 2, 2],
            "return_sum": [0.875, 0.75, 0.5, 0.25, 0.0, 0.125],
            "root_chain": [0, 6],
            "end_chain": [2, 3, 5],
        },
        "its endings and its children's together",
    ),
    "a tree out of bounds": (
        [episode("a", 0.5), episode("b", 0.5), episode("c", 0.5, "other")],
        {"first_node": [0, 1, 10**9, 2 * 10**9, 5]},
        "at most the number of nodes",
    ),
    "steps without trajectories": (
        [episode("ab", 0.5)],
        {
            "num_trajectories": [0],
            "num_terminal": [0],
            "return_sum": [0.0],
            "end_chain": [],
            "trajectory_order": [],
            "total_return": [],
        },
        "at least 1 where there are steps",
    ),
}


@pytest.mark.parametrize("name", FORGED)
def test_forged_forests_are_refused(name: str) -> None:
    episodes, columns, expected = FORGED[name]
    file = encode(build_forest(episodes))
    with pytest.raises(ForestFileError, match=expected):
        parse(forge(file, columns))


def test_forging_alone_is_no_error() -> None:
    file = encode(with_rule(build_forest(EPISODES)))
    assert forge(file, {name: values(file, name) for name in sections(file)}) == file


def test_siblings_come_in_the_order_trajectories_made_them() -> None:
    file = encode(build_forest([episode("a", 1.0), episode("b", 1.0)]))
    for name, index, value in (
        ("end_chain", 0, 2),
        ("end_chain", 1, 1),
        ("trajectory_order", 0, 1),
        ("trajectory_order", 1, 0),
    ):
        file = patch(file, name, index, value)
    with pytest.raises(ForestFileError, match="siblings in the order trajectories first made"):
        parse(file)


@pytest.mark.parametrize("num_children", [3, 9, 40])
def test_no_two_of_many_siblings_share_a_step(num_children: int) -> None:
    letters = [*map(chr, range(ord("a"), ord("z"))), *map(chr, range(0x3B1, 0x3C9))]
    actions = [*letters[: num_children - 1], "A"]
    file = encode(build_forest([episode(a, 1.0) for a in actions]))
    with pytest.raises(ForestFileError, match="siblings that differ in their step"):
        parse(patch(file, "observation_id", num_children, 0))
    with pytest.raises(ForestFileError, match="the distinct actions of the children"):
        parse(patch(file, "num_actions", 0, num_children))
