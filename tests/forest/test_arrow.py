"""Arrow in and out: the types libraries make, and what no honest one would."""

from __future__ import annotations

import ctypes
import gc
import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.arrow_structs import Array, Producer, Schema
from support.columns import columns_of, facts
from support.quiet import QUIET
from support.strategies import episode, trajectory_lists

from w2stree import InvalidInput, Trajectory, build_forest
from w2stree.forest import build_forest_from_arrow
from w2stree.forest.texts import TextColumn

pa = pytest.importorskip("pyarrow")

LONG = "a text that is longer than the twelve bytes a view holds: "
EPISODES = [
    episode("ab", 1, "x"),
    episode("", 0, "y"),
    episode("aC", 0, "x"),
    episode("de", 1, "x"),
    episode("abc", 0, "y"),
]


pytestmark = QUIET


def table_of(trajectories: list[Trajectory], text: Any = None, as_list: Any = pa.list_) -> Any:
    columns = columns_of(trajectories)
    text = text or pa.string()
    return pa.table(
        {
            "task_id": pa.array(columns["task_id"], text),
            "extra": pa.array([None] * len(trajectories)),
            "actions": pa.array(columns["actions"], as_list(text)),
            "observations": pa.array(columns["observations"], as_list(text)),
            "total_return": pa.array(columns["total_return"], pa.float64()),
        }
    )


TEXT_TYPES = [
    pa.string(),
    pa.large_string(),
    pa.string_view(),
    pa.dictionary(pa.int8(), pa.string()),
    pa.dictionary(pa.uint8(), pa.large_string()),
    pa.dictionary(pa.int16(), pa.string()),
    pa.dictionary(pa.uint32(), pa.string()),
    pa.dictionary(pa.int64(), pa.large_string()),
]
LIST_TYPES = [pa.list_, pa.large_list, pa.list_view, pa.large_list_view]


@given(trajectory_lists(), st.sampled_from(TEXT_TYPES), st.sampled_from(LIST_TYPES[:2]), st.data())
@settings(max_examples=200)
def test_agrees_with_objects(
    trajectories: list[Trajectory], text: Any, as_list: Any, data: st.DataObject
) -> None:
    table = table_of(trajectories, text, as_list)
    begin = data.draw(st.integers(0, len(trajectories) - 1))
    end = data.draw(st.integers(begin + 1, len(trajectories)))
    chunks = table.slice(begin, end - begin).to_batches(max_chunksize=data.draw(st.integers(1, 5)))
    chunked = pa.Table.from_batches(chunks)
    assert facts(build_forest_from_arrow(chunked)) == facts(build_forest(trajectories[begin:end]))


@pytest.mark.parametrize("as_list", LIST_TYPES)
@pytest.mark.parametrize("text", [pa.string(), pa.large_string(), pa.string_view()], ids=str)
def test_reads_every_layout(text: Any, as_list: Any) -> None:
    columns = columns_of(EPISODES)
    columns["actions"] = [[LONG + a for a in acts] for acts in columns["actions"]]
    table = pa.table(
        {
            "task_id": pa.array(columns["task_id"], text),
            "actions": pa.array(columns["actions"], as_list(text)),
            "observations": pa.array(columns["observations"], as_list(text)),
            "total_return": columns["total_return"],
        }
    )
    forest = build_forest_from_arrow(table)
    assert isinstance(forest.actions, TextColumn) and isinstance(forest.task_ids, tuple)
    assert forest.actions[2] == LONG + "c"
    assert forest.parent.tolist() == build_forest(EPISODES).parent.tolist()
    assert facts(build_forest_from_arrow(table[2:])) == facts(
        build_forest_from_arrow(pa.Table.from_batches(table[2:].to_batches(max_chunksize=1)))
    )


@pytest.mark.parametrize("kind", ["float32", "int8", "uint8", "int32", "uint64"])
def test_reads_returns_of_any_number(kind: str) -> None:
    table = table_of(EPISODES)
    table = table.set_column(4, "total_return", table["total_return"].cast(kind))
    assert facts(build_forest_from_arrow(table)) == facts(build_forest(EPISODES))


def test_reads_streams_batches_and_empty_chunks() -> None:
    table = table_of(EPISODES)
    expected = facts(build_forest(EPISODES))
    batch = table.combine_chunks().to_batches()[0]
    assert facts(build_forest_from_arrow(batch)) == expected
    batches = [batch[:0], batch[:2], batch[2:2], batch[2:]]
    reader = pa.RecordBatchReader.from_batches(batch.schema, iter(batches))
    assert facts(build_forest_from_arrow(reader)) == expected
    assert facts(build_forest_from_arrow(Producer(batch))) == expected


def test_results_do_not_depend_on_threads() -> None:
    table = table_of(EPISODES * 5000, pa.large_string())
    one, two = (build_forest_from_arrow(table, num_threads=n) for n in (1, 2))
    assert facts(one) == facts(two)


def test_of_two_faults_the_first_column_is_told() -> None:
    columns = columns_of(EPISODES * 5000)
    columns["actions"][-1][-1] = None
    columns["observations"][0][0] = None
    table = pa.table(columns)
    for _ in range(20):
        with pytest.raises(InvalidInput, match=r"actions\[24999\]\[2\] is null; expected text"):
            build_forest_from_arrow(table, num_threads=2)


def test_reads_polars() -> None:
    polars = pytest.importorskip("polars")
    columns = columns_of([*EPISODES, episode("f" + "g" * 9, 0)])
    columns["actions"][-1][0] = LONG
    table = pa.table(columns)
    expected = facts(build_forest_from_arrow(table))
    frame = polars.DataFrame(columns)
    assert facts(build_forest_from_arrow(frame)) == expected
    assert facts(build_forest_from_arrow(polars.concat([frame[:2], frame[2:]]))) == expected
    assert facts(build_forest_from_arrow(frame[1:])) == facts(build_forest_from_arrow(table[1:]))
    categories = frame.with_columns(
        polars.col("task_id").cast(polars.Categorical),
        polars.col("actions").cast(polars.List(polars.Categorical)),
        polars.col("observations").cast(polars.List(polars.Enum(["other", "usual"]))),
    )
    assert facts(build_forest_from_arrow(categories)) == expected


def without(name: str) -> Callable[[Any], Any]:
    return lambda table: table.drop_columns([name])


def with_column(name: str, values: Any) -> Callable[[Any], Any]:
    return lambda table: table.drop_columns([name]).append_column(name, values)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without("actions"), "column actions is missing; there are task_id, extra, observations"),
        (with_column("task_id", [[1, 2]]), "column task_id has Arrow format .l.; expected text"),
        (with_column("task_id", [["x", None]]), r"task_id\[1\] is null; expected text"),
        (with_column("total_return", [[0, None]]), r"total_return\[1\] is null; expected a number"),
        (with_column("total_return", [["0", "1"]]), "column total_return has Arrow format .u.; "),
        (with_column("total_return", [[0.0, np.inf]]), r"total_return\[1\]=inf is not finite"),
        (with_column("actions", [["a", "b"]]), "column actions has Arrow format .u.; expected a l"),
        (
            with_column("actions", [[[b"a"], [b"b"]]]),
            r'column actions has Arrow format "\+l" of "z"; expected a list of text',
        ),
        (
            with_column("actions", pa.array([["a"], ["b"]], pa.list_(pa.string(), 1))),
            r"column actions has Arrow format .\+w:1. of .u.; expected a list of text",
        ),
        (with_column("actions", [[["a", "b"], None]]), r"actions\[1\] is null; expected a list"),
        (
            with_column("actions", [[["a", "b"], ["a", None]]]),
            r"actions\[1\]\[1\] is null; expected text",
        ),
        (
            with_column("observations", [[["a"], ["a", "b"]]]),
            r"observations\[0\] has 1 elements; expected 2, as in actions\[0\]",
        ),
        (lambda table: table[:0], "no trajectories given"),
    ],
)
def test_refuses_columns_naming_the_place(spoil: Callable[[Any], Any], message: str) -> None:
    table = table_of([episode("ab", 1), episode("ac", 0)])
    with pytest.raises(InvalidInput, match=message):
        build_forest_from_arrow(spoil(table))


def test_names_rows_over_all_batches() -> None:
    column = pa.array([["a"], [], ["b", None]])
    batch = pa.record_batch(
        {"task_id": ["x"] * 3, "total_return": [0.0] * 3, "actions": column, "observations": column}
    )
    good = batch[:2]
    reader = pa.RecordBatchReader.from_batches(batch.schema, iter([good, good, batch[1:]]))
    with pytest.raises(InvalidInput, match=r"actions\[5\]\[1\] is null"):
        build_forest_from_arrow(reader)


def test_null_dictionary_entries_count_when_used() -> None:
    words = pa.array(["a", None, "b"])

    def table(indices: list[int]) -> Any:
        column = pa.ListArray.from_arrays([0, 2], pa.DictionaryArray.from_arrays(indices, words))
        return pa.table(
            {"task_id": ["x"], "total_return": [0], "actions": column, "observations": column}
        )

    assert list(build_forest_from_arrow(table([2, 0])).actions) == ["b", "a"]
    with pytest.raises(InvalidInput, match=r"actions\[0\]\[1\] is null"):
        build_forest_from_arrow(table([0, 1]))


def test_refuses_what_is_no_table() -> None:
    with pytest.raises(TypeError, match="table is dict; expected an object with __arrow_c_stream"):
        build_forest_from_arrow({})  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match=r"the table has Arrow format .l.; expected a struct"):
        build_forest_from_arrow(pa.array([1, 2]))


def test_errors_of_a_producer_are_told() -> None:
    def torn() -> Iterator[Any]:
        yield table_of(EPISODES).to_batches()[0]
        raise OSError("the disk is gone")

    reader = pa.RecordBatchReader.from_batches(table_of(EPISODES).schema, torn())
    with pytest.raises(InvalidInput, match=r"the Arrow stream failed .*the disk is gone"):
        build_forest_from_arrow(reader)


# A hostile producer


def set_offset(column: int, value: int) -> Callable[[Schema, Array], None]:
    """Sets the last list offset of a column of two rows; buffers are shared with pyarrow's."""

    def spoil(_: Schema, array: Array) -> None:
        offsets = ctypes.c_int32 * 3
        offsets.from_address(array.children[column].contents.buffers[1])[2] = value

    return spoil


def set_field(name: str, value: int) -> Callable[[Schema, Array], None]:
    return lambda _, array: setattr(array, name, value)


def spoil_format(schema: Schema, _: Array) -> None:
    schema.format = None


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (set_offset(2, 5), r"actions\[1\]: Arrow list from 2 to 5 outside \[0, 4\]"),
        (set_offset(2, 1), r"actions\[1\]: Arrow list from 2 to 1 outside"),
        (set_offset(3, -9), r"observations\[1\]: Arrow list from 2 to -9 outside"),
        (set_field("length", -1), "the table: Arrow array of length -1"),
        (set_field("length", 3), "column task_id has 2 rows; expected 3"),
        (set_field("offset", 2**62), "the table: Arrow array of length 2 at offset"),
        (set_field("n_children", 1), "the table: Arrow array with 1 children; expected 5"),
        (set_field("n_buffers", 0), "the table: Arrow array with 0 buffers; expected 1"),
        (spoil_format, "the table: Arrow schema without a format"),
    ],
)
def test_refuses_structs_that_contradict_themselves(
    spoil: Callable[[Schema, Array], None], message: str
) -> None:
    batch = table_of([episode("ab", 1), episode("ac", 0)]).to_batches()[0]
    producer = Producer(batch, spoil)
    with pytest.raises(InvalidInput, match=message):
        build_forest_from_arrow(producer)
    assert sorted(producer.released) == ["array", "schema"]


def test_releases_once_and_refuses_what_was_released() -> None:
    producer = Producer(table_of(EPISODES).to_batches()[0])
    build_forest_from_arrow(producer)
    assert sorted(producer.released) == ["array", "schema"]
    with pytest.raises(InvalidInput, match="the arrow_schema capsule was released already"):
        build_forest_from_arrow(producer)
    assert len(producer.released) == 2


def test_nothing_leaks() -> None:
    table = table_of(EPISODES * 20, pa.large_string())
    bad = table.set_column(4, "total_return", [["x"] * len(table)])
    build_forest_from_arrow(table)
    gc.collect()
    before = pa.total_allocated_bytes()
    for _ in range(1000):
        build_forest_from_arrow(table)
        with pytest.raises(InvalidInput):
            build_forest_from_arrow(bad)
        pa.table(build_forest_from_arrow(table))
    gc.collect()
    assert pa.total_allocated_bytes() == before


# Out


def test_bytes_that_are_no_utf8_are_shown_in_the_error() -> None:
    def spoil(schema: Schema, array: Array) -> None:
        schema.format = b"\xff\xfes"

    producer = Producer(table_of(EPISODES).to_batches()[0], spoil)
    with pytest.raises(InvalidInput, match=r'the table has Arrow format "\\xff\\xfes"'):
        build_forest_from_arrow(producer)


def test_list_views_that_make_much_out_of_little_are_refused() -> None:
    """1,000 rows over the same 10 elements. A few may share theirs."""
    rows = pa.ListViewArray.from_arrays([0] * 1000, [10] * 1000, pa.array(["go"] * 10))
    columns = {"task_id": ["t"] * 1000, "total_return": [0.5] * 1000}
    table = pa.table({**columns, "actions": rows, "observations": rows})
    message = r"actions\[64\] and the rows before hold 650 elements of 10; expected at most 64"
    with pytest.raises(InvalidInput, match=message):
        build_forest_from_arrow(table)
    assert len(build_forest_from_arrow(table.slice(0, 64)).trajectories) == 64


def test_fuzz_corpus_is_what_its_script_writes() -> None:
    folder = Path(__file__).parents[2] / "cpp" / "fuzz"
    made = runpy.run_path(str(folder / "make_arrow_corpus.py"))["corpus"]()
    committed = (folder / "corpus" / "arrow_trajectories").iterdir()
    assert made == {p.name: p.read_bytes() for p in committed}
