"""How many trees and texts ids may name, and what their tables hold."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from w2stree import InvalidInput
from w2stree.forest import build_forest_from_ids
from w2stree.forest.id_tables import _memory

ONE: dict[str, Any] = {
    "action_id": np.zeros(1, np.int32),
    "observation_id": np.zeros(1, np.int32),
    "step_offset": np.array([0, 1]),
    "tree_id": np.zeros(1, np.int32),
    "total_return": np.array([1.0]),
}


@pytest.mark.parametrize("greatest", [100_000, 2**31 - 2, 2**31 - 1])
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("tree_id", r"trees need \d+\.\d GB, give num_trees= if they are meant"),
        ("action_id", "actions would have to be named"),
        ("observation_id", "observations would have to be named"),
    ],
)
def test_sparse_ids_are_refused_with_what_they_need(name: str, reason: str, greatest: int) -> None:
    ids = np.array([greatest], np.int32)
    message = rf"{name}\[0\]={greatest:,} of 1: {greatest + 1:,} {reason}; number ids from 0 on"
    with pytest.raises(InvalidInput, match=message):
        build_forest_from_ids(**{**ONE, name: ids})


def test_later_changes_of_the_tables_change_nothing() -> None:
    tables = {"task_ids": ["t"], "actions": ["go"], "observations": ["a hall"]}
    forest = build_forest_from_ids(**ONE, **tables)
    digest = forest.digest()
    for table in tables.values():
        table[0] = "another"
    assert forest.digest() == digest
    assert forest.task_ids == ("t",)


def test_ids_with_gaps_are_fine() -> None:
    ids = np.array([99_999], np.int32)
    forest = build_forest_from_ids(**{**ONE, "action_id": ids, "tree_id": ids})
    assert len(forest) == 100_000 and forest.actions[99_999] == "action 99999"
    assert len(forest.digest()) == 32 and forest.trajectories[0].task_id == "task 99999"
    many = {**ONE, "tree_id": np.array([150_000], np.int32)}
    assert len(build_forest_from_ids(**many, num_trees=150_001)) == 150_001


@pytest.mark.parametrize(
    ("num_trees", "error", "message"),
    [
        (2**31, InvalidInput, "num_trees=2147483648; expected 0 to 2,147,483,647"),
        (-1, InvalidInput, "num_trees=-1; expected 0 to"),
        pytest.param(
            2**31 - 1,
            InvalidInput,
            r"num_trees=2,147,483,647 need 171\.8 GB without any trajectory; this machine has",
            marks=pytest.mark.skipif(
                (_memory() or 2**62) > 171e9, reason="needs a machine that has less"
            ),
        ),
        ("3", TypeError, "num_trees is str; expected int"),
        (1.0, TypeError, "num_trees is float; expected int"),
        (True, TypeError, "num_trees is bool; expected int"),
    ],
)
def test_how_many_trees_is_a_count(num_trees: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        build_forest_from_ids(**ONE, num_trees=num_trees)


@pytest.mark.parametrize("name", ["task_ids", "actions", "observations"])
@pytest.mark.parametrize("text", [3, None, b"x", ["x"]])
def test_tables_are_of_texts(name: str, text: object) -> None:
    tables = {"task_ids": ["t"], "actions": ["a", "b"], "observations": ["o", "p"]}
    tables[name][-1] = text  # type: ignore[call-overload]
    place = re.escape(f"{name}[{len(tables[name]) - 1}] is {type(text).__name__}; expected str")
    with pytest.raises(TypeError, match=place):
        build_forest_from_ids(**ONE, **tables)  # type: ignore[arg-type]
    tables[name][-1] = np.str_("a text of NumPy's")  # type: ignore[call-overload]
    assert len(build_forest_from_ids(**ONE, **tables).digest()) == 32  # type: ignore[arg-type]
