"""The recipes of docs/scale.md, for the engines that are installed: the rows of one process.

In no extra of ours: pip install daft pyspark 'pandas>=2.2,<3', and a Java of 17 or 21.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from support.bucketed_runs import files_of, random_runs
from support.doc_pages import DOCS, Reader, blocks_of

from w2stree.scale.row_digest import digest_of_rows
from w2stree.scale.tables import pairs_table

pq: Any = pytest.importorskip("pyarrow.parquet")

pytestmark = [
    pytest.mark.filterwarnings("ignore::w2stree.errors.IdenticalTrajectories"),
    pytest.mark.filterwarnings("ignore::w2stree.errors.TurnsWithoutAction"),
    pytest.mark.filterwarnings("ignore::w2stree.errors.RepeatedTrajectories"),
]

BLOCKS = blocks_of(DOCS / "scale.md")


def recipe(library: str) -> str:
    begins = (f"import {library}\n", f"from {library}.")
    (found,) = (b.text for b in BLOCKS if any(line in b.text for line in begins))
    return found


def rows_of(files: Path) -> list[str]:
    """In the order of no engine: as texts, without what numbers nodes."""
    table = pq.read_table(files)
    names = [name for name in table.column_names if name not in ("divergence", "bucket")]
    return sorted(map(repr, table.select(names).to_pylist()))


def texts_of(files: Path) -> list[str]:
    """As `rows_of`, without what the order of a task's runs decides: whose run a side is named by
    where several have it."""
    columns = ["task_id", "prompt", "chosen", "rejected", "depth", "num_chosen", "num_rejected"]
    table = pq.read_table(files)
    gaps = [round(gap, 9) for gap in table["gap"].to_pylist()]
    rows = table.select(columns).to_pylist()
    return sorted(f"{row} {gap}" for row, gap in zip(rows, gaps, strict=True))


def check(
    text: str, folder: Path, *, alike: Callable[[Path], list[str]] = rows_of, **given: Any
) -> None:
    once = {id(run): run for run in random_runs(Random(5), 40)}  # some are there twice
    files_of(list(once.values()), folder / "runs")
    exec(compile(text, "docs/scale.md", "exec"), {"__name__": "recipe", **given})
    whole = pairs_table(pq.read_table(folder / "runs"))
    pq.write_table(whole, folder / "whole.parquet")
    assert whole.num_rows > 20
    assert alike(folder / "pairs") == alike(folder / "whole.parquet")
    assert digest_of_rows(whole) == digest_of_rows(pq.read_table(folder / "whole.parquet"))


def test_dask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("dask")
    monkeypatch.chdir(tmp_path)
    check(recipe("dask"), tmp_path)


def test_daft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its half of the way; then Dask's."""
    pytest.importorskip("daft")
    monkeypatch.chdir(tmp_path)
    second = """
from pathlib import Path
import pyarrow.parquet as pq
from w2stree.scale.tables import pairs_table
Path("pairs").mkdir()
for folder in Path("sharded").iterdir():
    pq.write_table(pairs_table(pq.read_table(folder)), f"pairs/{folder.name}.parquet")
"""
    check(recipe("daft") + second, tmp_path, alike=texts_of)


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning")
def test_spark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sql = pytest.importorskip("pyspark.sql")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    session = sql.SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    with session.config("spark.sql.warehouse.dir", str(tmp_path / "hive")).getOrCreate() as spark:
        check(recipe("pyspark"), tmp_path, alike=texts_of, spark=spark)


@pytest.mark.slow
# Ray's own: what it leaves to the garbage collector, and what pandas will change.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_ray(ray: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ray.data.DataContext.get_current().enable_progress_bars = False
    text = recipe("ray")
    for name in ("runs/", "pairs/"):  # a worker has a folder of its own
        text = text.replace(f'"{name}"', repr(str(tmp_path / name)))
    check(text, tmp_path, alike=texts_of)  # its shuffle keeps no order


def test_the_forest_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    reader = Reader(0)
    (first,) = (i for i, block in enumerate(BLOCKS) if "open_forest" in block.text)
    for block in BLOCKS[first : first + 2]:  # the program, and what it prints
        reader.follow(block)
    reader.close()
