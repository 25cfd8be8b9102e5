"""The bindings: what the core refuses, and what NumPy hands it."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from w2stree import Forest, InvalidInput, Trajectory, _core, build_forest
from w2stree.forest import build_forest_from_ids

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


@pytest.fixture(scope="module")
def forest() -> Forest:
    """600 trajectories of one task, all different, and all their pairs: 179,700."""
    n = 600
    ids = np.arange(n, dtype=np.int32)
    offset, tree_id = np.arange(n + 1), np.zeros(n, np.int32)
    return build_forest_from_ids(ids, np.zeros(n, np.int32), offset, tree_id, ids / n)


RESULT_METHODS = (
    "best_end_node",
    "path_end_node",
    "node_visit_count",
    "node_value_sum",
    "node_value_max",
    "node_stop_visit_count",
    "node_stop_value_sum",
)


@pytest.mark.parametrize("method", RESULT_METHODS)
def test_a_search_result_is_read_with_its_own_forest_only(forest: Forest, method: str) -> None:
    result = _core_search(forest)
    small = build_forest([Trajectory("t", (), (), 1.0, "done")])
    assert len(getattr(result, method)(forest.core))
    with pytest.raises(InvalidInput, match="the search result is of another forest"):
        getattr(result, method)(small.core)


def _core_search(forest: Forest) -> _core.SearchResult:
    return forest.search(num_simulations=10).core


def test_shards_are_forests_and_names_are_ids(forest: Forest) -> None:
    none = np.zeros(0, np.int32)
    with pytest.raises(TypeError, match="shard without a forest"):
        _core.merge_forests([(None, none, none)])  # type: ignore[list-item]
    names = np.full(600, -7, np.int32)
    with pytest.raises(InvalidInput, match=r"action names\[0\]=-7 is negative"):
        _core.merge_forests([(forest.core, names, none)])


@pytest.mark.parametrize("array", [np.arange(64)[::-1], np.arange(64)[::2], np.ones((4, 4))])
def test_only_plain_bytes_are_hashed(array: np.ndarray) -> None:
    with pytest.raises(InvalidInput, match="expected plain bytes"):
        _core.xxh64(array)
    assert _core.xxh64(np.zeros(0, np.uint8)) == 0xEF46DB3751D8E999  # as published


def test_threads_take_turns_at_a_stream(forest: Forest) -> None:
    stream = _core.PairStream(forest.core, _core.PairRule())

    def read(_: int) -> list[tuple[int, int]]:
        pairs = []
        while (chunk := stream.next(61)) is not None:
            pairs += zip(chunk.chosen.tolist(), chunk.rejected.tolist(), strict=True)
        return pairs

    with ThreadPoolExecutor(4) as pool:
        read_by_all = [pair for part in pool.map(read, range(4)) for pair in part]
    pairs = forest.pairs()
    expected = zip(pairs.chosen.tolist(), pairs.rejected.tolist(), strict=True)
    assert sorted(read_by_all) == sorted(expected)


def test_ids_without_texts_are_found_after_the_fact(forest: Forest) -> None:
    _core.check_ids(forest.core, 600, 1)
    message = "action_id was changed while it was merged: node 600 has 599 of 599"
    with pytest.raises(InvalidInput, match=message):
        _core.check_ids(forest.core, 599, 1)
    with pytest.raises(InvalidInput, match=r"observation_id was changed .* node 1 has 0 of 0"):
        _core.check_ids(forest.core, 600, 0)
