"""The bindings: what the core refuses, and what NumPy hands it."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from w2stree import InvalidInput, _core

COLUMNS = {
    "action_id": np.array([0, 1, 0], np.int32),
    "observation_id": np.array([0, 0, 1], np.int32),
    "step_offset": np.array([0, 2, 3], np.int64),
    "tree_id": np.array([0, 0], np.int32),
    "total_return": np.array([1.0, 0.5]),
    "num_trees": 1,
}


def test_builds() -> None:
    assert _core.build_forest(**COLUMNS).node_parent().tolist() == [-1, 0, 1, 0]


def test_reads_strided_columns() -> None:
    action_id = np.array([0, 9, 1, 9, 0, 9], np.int32)[::2]
    assert _core.build_forest(**{**COLUMNS, "action_id": action_id}).action_id[2] == 1


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("action_id", np.array([0, -1, 0], np.int32), r"action_id\[1\]=-1 is negative"),
        ("action_id", np.zeros((3, 1), np.int32), "action_id has 2 dimensions; expected 1"),
        ("observation_id", np.zeros(2, np.int32), "observation_id has 2 elements; expected 3"),
        ("step_offset", np.array([0, 3, 2]), r"step_offset\[2\]=2 < step_offset\[1\]=3"),
        ("step_offset", np.array([], np.int64), "step_offset has 0 elements; expected 3"),
        ("step_offset", np.array([0, -(2**62), 3]), r"step_offset\[1\]=-\d+ < step_offset\[0\]=0"),
        ("tree_id", np.array([0, 1], np.int32), r"tree_id\[1\]=1 outside \[0, 1\)"),
        ("total_return", np.array([1.0, np.inf]), r"total_return\[1\]=inf is not finite"),
        ("num_trees", -1, "num_trees=-1 is negative"),
    ],
)
def test_refuses_naming_the_place(name: str, value: object, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        _core.build_forest(**{**COLUMNS, name: value})  # type: ignore[arg-type]


def test_never_narrows_a_column() -> None:
    with pytest.raises(TypeError):
        _core.build_forest(**{**COLUMNS, "action_id": np.array([0, 2**40, 0])})


def test_invalid_input_is_a_value_error_that_pickles() -> None:
    error = InvalidInput("tree_id[2]=9 outside [0, 3)")
    assert isinstance(error, ValueError) and InvalidInput.__module__ == "w2stree"
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is InvalidInput and copy.args == error.args
