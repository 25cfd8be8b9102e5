"""Functions on tables: what the shards give is what one process gives, whoever made the tables."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from support.bucketed_runs import random_runs, table_of

import w2stree as w2s
from w2stree.errors import InvalidInput
from w2stree.forest.shard_digest import ShardDigest, digest_of_shards
from w2stree.forest.task_buckets import bucket_of
from w2stree.scale.row_digest import digest_of_rows, sum_of_digests
from w2stree.scale.tables import (
    advantages_table,
    forest_shard,
    pairs_table,
    paths_table,
    shard_table,
)

pa: Any = pytest.importorskip("pyarrow")
pc: Any = pytest.importorskip("pyarrow.compute")

pytestmark = pytest.mark.filterwarnings(
    "ignore::w2stree.errors.IdenticalTrajectories",
    "ignore::w2stree.errors.TurnsWithoutAction",
    "ignore::w2stree.errors.RepeatedTrajectories",
)


def shards_of(table: Any, num_buckets: int) -> Iterator[Any]:
    sharded = shard_table(table, num_buckets)
    for bucket in range(num_buckets):
        yield sharded.filter(pc.equal(sharded["bucket"], bucket))


def check_seed(seed: int, folder: Path) -> None:
    random = Random(seed)
    runs = random_runs(random, random.choice([1, 3]))
    table = table_of(runs, folder)
    whole = forest_shard(table, folder / "whole").to_pylist()[0]
    read = w2s.read_trajectories(folder / "runs.parquet")
    assert len(read) == whole["num_trajectories"] + whole["num_errors"]
    if whole["digest"] is None:
        return
    assert whole["digest"] == w2s.build_forest(read).digest()
    returns = [run.total_return for run in read if run.status != "error"]
    span = min(0.0, *returns), max(1.0, *returns)
    makers = [
        lambda part: pairs_table(part, max_per_task=3, seed=seed),
        lambda part: pairs_table(part, completion="suffix", min_gap=0.1),
        lambda part: paths_table(part, return_range=span),
        lambda part: paths_table(part, all_runs=True, min_return=0.3),
        advantages_table,
    ]
    expected = [digest_of_rows(make(table)) for make in makers]
    for num_buckets in (1, 2, 7):
        parts = list(shards_of(table, num_buckets))
        made = [forest_shard(p, folder / f"{i}").to_pylist()[0] for i, p in enumerate(parts)]
        digest = digest_of_shards(
            ShardDigest(m["digest"], m["num_trees"], m["num_nodes"], m["num_trajectories"])
            for m in made
            if m["digest"] is not None
        )
        assert digest == whole["digest"]
        for name in ("num_trajectories", "num_errors", "num_repeated"):
            assert sum(m[name] for m in made) == whole[name]
        for make, digest in zip(makers, expected, strict=True):
            assert sum_of_digests(digest_of_rows(make(part)) for part in parts) == digest


@pytest.mark.parametrize("block", range(5))
def test_shards_give_what_one_process_gives(block: int, tmp_path: Path) -> None:
    for seed in range(40 * block, 40 * block + 40):
        check_seed(seed, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("block", range(100))
def test_ten_thousand_forests(block: int, tmp_path: Path) -> None:
    for seed in range(1_000_000 + 100 * block, 1_000_000 + 100 * block + 100):
        check_seed(seed, tmp_path)


def test_a_task_has_one_bucket_on_every_machine() -> None:
    """By the published test vectors of XXH64, and in a process with another hash seed."""
    assert bucket_of("", 2**31) == 0xEF46DB3751D8E999 % 2**31
    assert bucket_of("a", 2**31) == 0xD24EC4F1A98C6E5B % 2**31
    told = "from w2stree.forest.task_buckets import bucket_of; print(bucket_of('tür/🗝', 1000))"
    other = subprocess.run(
        [sys.executable, "-c", told], env={"PYTHONHASHSEED": "7"}, capture_output=True, check=True
    )
    assert int(other.stdout) == bucket_of("tür/🗝", 1000)


@pytest.mark.parametrize("num_buckets", [0, -1, 1_000_001])
def test_refuses_numbers_of_buckets(num_buckets: int, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="expected 1 to 1,000,000"):
        shard_table(table_of(random_runs(Random(0)), tmp_path), num_buckets)


def nullable(kind: Any) -> Any:
    """As engines have types after reading: everything may be null."""
    if pa.types.is_list(kind):
        return pa.list_(nullable(kind.value_type))
    if pa.types.is_struct(kind):
        fields = [kind.field(i) for i in range(kind.num_fields)]
        return pa.struct([pa.field(f.name, nullable(f.type)) for f in fields])
    return kind


def test_tables_of_other_widths_are_the_same(tmp_path: Path) -> None:
    table = table_of(random_runs(Random(3), 3), tmp_path)
    expected = forest_shard(table, tmp_path / "a").to_pylist()[0] | {"path": ""}
    may_be_null = pa.schema([pa.field(f.name, nullable(f.type)) for f in table.schema])
    coded = table.set_column(0, "task_id", table["task_id"].dictionary_encode())
    rows = pa.Table.from_pylist(table.to_pylist(), may_be_null)
    wide = shard_table(table, 1).append_column("mine", pa.nulls(table.num_rows))
    cut = pa.concat_tables([table.slice(0, 5), table.slice(5, 1), table.slice(6)])
    for other in (rows, coded, wide, cut, shard_table(coded, 3)):
        found = forest_shard(other, tmp_path / "b").to_pylist()[0]
        assert found | {"path": ""} == expected
        assert digest_of_rows(pairs_table(other)) == digest_of_rows(pairs_table(table))


def test_text_has_offsets_of_64_bits_and_the_schema_never_changes(tmp_path: Path) -> None:
    table = table_of(random_runs(Random(3), 3), tmp_path)
    sharded = shard_table(table, 2)
    assert sharded.schema.field("task_id").type == pa.large_string()
    assert "large_list" in str(sharded.schema.field("steps").type)
    for make in (pairs_table, paths_table, advantages_table):
        full, empty = make(table), make(table.slice(0, 0))
        assert full.num_rows and not empty.num_rows
        assert full.schema.equals(empty.schema)
        assert full.schema.field("task_id").type == pa.large_string()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: t.drop_columns(["origin"]), "column origin is not there once"),
        (lambda t: t.set_column(0, "task_id", pa.array([1] * t.num_rows)), None),
        (
            lambda t: t.set_column(3, "total_return", pa.nulls(t.num_rows, pa.float64())),
            "column total_return has",
        ),
        (
            lambda t: t.set_column(2, "steps", pa.array([[{"action": "a"}]] * t.num_rows)),
            "column steps\\[\\] has no field observation",
        ),
        (
            lambda t: t.set_column(3, "total_return", pa.array(["x"] * t.num_rows)),
            "column total_return is string",
        ),
        (lambda t: t.set_column(4, "status", pa.array(["odd"] * t.num_rows)), "row 1: status"),
    ],
)
def test_bad_tables_are_refused_by_column(change: Any, told: str | None, tmp_path: Path) -> None:
    table = change(table_of(random_runs(Random(1)), tmp_path))
    if told is None:  # a number is a text to Arrow
        assert pairs_table(table).num_rows >= 0
        return
    with pytest.raises(InvalidInput, match=told):
        pairs_table(table)


def test_rows_say_where_their_runs_stand(tmp_path: Path) -> None:
    table = table_of(random_runs(Random(3), 3), tmp_path)
    places = [f"log {i}" for i in range(table.num_rows)]
    rows = paths_table(table.append_column("source", pa.array(places)), all_runs=True)
    assert set(rows["source"].combine_chunks().flatten().to_pylist()) <= set(places)
    assert paths_table(table, all_runs=True)["source"][0].as_py()[0].startswith("seed ")


def test_what_was_there_twice_is_told(tmp_path: Path) -> None:
    table = table_of(random_runs(Random(3), 3), tmp_path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = forest_shard(table, tmp_path / "a").to_pylist()[0]
    assert found["num_repeated"] > 0
    assert any(f"{found['num_repeated']} trajector" in str(w.message) for w in caught)
