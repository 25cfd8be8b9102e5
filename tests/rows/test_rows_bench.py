"""The benchmark of rows on disk compares files before it times them."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("datasets")

from bench.rows.writing import measure, runs_of


@pytest.mark.filterwarnings("ignore::w2stree.errors.RowWarning")
def test_all_write_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    measure(tmp_path, runs_of(3, 4, 4), "suffix", budget=0.0)
    told = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in told] == ["jsonl"] * 6 + ["parquet"] * 5
