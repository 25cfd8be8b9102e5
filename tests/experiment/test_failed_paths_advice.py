"""What the doctor says to type next where imitated paths failed: a command that can run."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("pydantic")

from w2stree.experiment.diagnosis.diagnose import diagnose
from w2stree.trajectories.files import read_trajectories, write_trajectories

MINIATURE = Path(__file__).with_name("miniature_run")  # its four best paths failed


def advice(run: Path) -> str:
    (symptom,) = (s for s in diagnose(run).symptoms if s.name == "failed-paths")
    return symptom.command


@pytest.mark.parametrize("num_won", [0, 1])
def test_a_least_return_is_advised_where_it_leaves_something(tmp_path: Path, num_won: int) -> None:
    run = tmp_path / "mini"
    shutil.copytree(MINIATURE, run)
    file = run / "tree" / "best_paths.jsonl"
    paths = list(read_trajectories(file))
    won = [replace(path, total_return=1.0) for path in paths[:num_won]]
    write_trajectories(file, won + paths[num_won:])
    if num_won:
        assert "mcts_sft.min_return=1 " in advice(run)
    else:
        assert advice(run) == f"w2stree tasks {run}/explore --sort return"
