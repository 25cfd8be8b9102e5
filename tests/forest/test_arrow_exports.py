"""Forests, pairs and searches as Arrow tables."""

from __future__ import annotations

import gc
import sys

import numpy as np
import pytest
from support.arrow_structs import Stream, in_capsule
from support.strategies import episode

from w2stree import InvalidInput, _core, build_forest

pa = pytest.importorskip("pyarrow")

EPISODES = [episode("ab", 1, "x"), episode("aC", 0, "x"), episode("abc", 0, "y")]


def test_forests_pairs_and_searches_are_tables() -> None:
    forest = build_forest(EPISODES)
    pairs, result = forest.pairs(), forest.search(num_simulations=5)
    nodes = pa.table(forest)
    assert nodes.column_names[:3] == ["parent", "action_id", "observation_id"]
    for name in nodes.column_names:
        array = getattr(forest, name)
        assert np.array_equal(nodes[name].to_numpy(), array)
        assert nodes[name].type == pa.from_numpy_dtype(array.dtype)
        address = nodes[name].chunk(0).buffers()[1].address
        assert address == array.__array_interface__["data"][0]  # nothing was copied
    assert pa.table(pairs).to_pydict() == {
        name: getattr(pairs, name).tolist() for name in ("divergence", "chosen", "rejected", "gap")
    }
    assert pa.table(result)["visit_count"].to_pylist() == result.visit_count.tolist()
    pa.table(nodes).validate(full=True)


def test_polars_reads_forests() -> None:
    polars = pytest.importorskip("polars")
    forest = build_forest(EPISODES)
    frame = polars.from_arrow(forest).struct.unnest()  # a forest is a mapping to `DataFrame`
    assert frame["parent"].to_list() == forest.parent.tolist()
    assert frame["return_sum"].dtype == polars.Float64
    assert len(polars.DataFrame(build_forest(EPISODES[:1]).pairs())) == 0


def test_tables_outlive_what_they_came_from() -> None:
    forest = build_forest(EPISODES)
    expected = forest.return_sum.tolist()
    table = pa.table(forest)
    column = table["return_sum"]
    del forest, table
    gc.collect()
    assert column.to_pylist() == expected


def test_streams_end_after_their_batch_and_are_released_once() -> None:
    for consumed in (False, True):
        column = np.arange(3.0)
        capsule = _core.export_arrow({"x": column})
        count = sys.getrefcount(column)
        if consumed:
            reader = pa.RecordBatchReader._import_from_c_capsule(capsule)
            assert [batch.to_pydict() for batch in reader] == [{"x": [0.0, 1.0, 2.0]}]
            reader.close()
            assert not in_capsule(capsule, b"arrow_array_stream", Stream).release
            del reader
        del capsule
        gc.collect()
        assert sys.getrefcount(column) == count - 1


def test_columns_of_an_export_agree() -> None:
    with pytest.raises(InvalidInput, match="column y has 2 rows; expected 3"):
        _core.export_arrow({"x": np.zeros(3), "y": np.zeros(2)})
    with pytest.raises(TypeError, match="column x has dtype float32; expected int32, int64 or fl"):
        _core.export_arrow({"x": np.zeros(3, np.float32)})
    with pytest.raises(TypeError, match="column x is no 1-D array"):
        _core.export_arrow({"x": np.zeros((3, 1))})
    strided = pa.RecordBatchReader._import_from_c_capsule(
        _core.export_arrow({"x": np.arange(6)[::2]})
    )
    assert strided.read_all().to_pydict() == {"x": [0, 2, 4]}
