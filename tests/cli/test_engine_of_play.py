"""`--engine` of what plays: what is refused, and what a run's journals are called elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.journals import episode, record

pytest.importorskip("pydantic")

from w2stree.cli.app import main
from w2stree.cli.executors import _run_id
from w2stree.errors import RunDirectoryError
from w2stree.trajectories.journal import Journal


@pytest.mark.parametrize("command", [["explore", "textworld_random"], ["run", "miniature"]])
@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--engine", "dask"], "--engine dask: use ray or ray://ADDRESS"),
        (["--engine", "ray://"], "--engine ray://: use ray or ray://ADDRESS"),
        (["--local-dir", "here"], "--local-dir is of --engine: give --engine ray"),
    ],
)
def test_what_is_no_engine_is_refused_before_anything_is_made(
    command: list[str],
    options: list[str],
    told: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = tmp_path / "run"
    assert main([*command, "--run-dir", str(run), *options]) == 2
    assert told in capsys.readouterr().err
    assert not run.exists()


@pytest.mark.parametrize(
    ("engine", "told"),
    [
        ("dask", "--engine dask: use ray or ray://auto"),
        ("ray://gpu7:10001", "--engine ray://gpu7:10001: an experiment is started on a machine of"),
    ],
)
def test_an_experiment_s_driver_is_in_the_cluster(
    engine: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = tmp_path / "runs"
    assert main(["experiment", "claims", "--runs", str(runs), "--engine", engine]) == 2
    assert told in capsys.readouterr().err
    assert not runs.exists()


def test_a_run_s_journals_elsewhere_have_one_name_from_its_first_episode_on(
    tmp_path: Path,
) -> None:
    """Before that another configuration may take the folder over."""
    with Journal(tmp_path / "episodes.journal") as empty:
        first, second = _run_id(empty), _run_id(empty)
    assert first != second
    with Journal(record(tmp_path / "episodes.journal", [episode()])) as begun:
        assert _run_id(begun) == _run_id(begun) == second
        (tmp_path / "cluster.json").write_text(json.dumps({"run": "../../elsewhere"}))
        name = _run_id(begun)
        assert name.isalnum()
        (tmp_path / "cluster.json").write_text("{")
        with pytest.raises(RunDirectoryError, match=r"put it back from a copy, or delete this"):
            _run_id(begun)
