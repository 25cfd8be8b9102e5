"""`--engine ray`, on a Ray of one core: the same as in this process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest
from support.bucketed_runs import files_of, random_runs
from support.ray_cluster import LEFTOVERS, patient

import w2stree as w2s
from w2stree.cli.app import main
from w2stree.forest.bucket_manifest import BucketManifest

pytest.importorskip("pyarrow")

pytestmark = [
    pytest.mark.filterwarnings("ignore::w2stree.errors.IdenticalTrajectories"),
    pytest.mark.filterwarnings("ignore::w2stree.errors.TurnsWithoutAction"),
    pytest.mark.filterwarnings("ignore::w2stree.errors.RepeatedTrajectories"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    *LEFTOVERS,
]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return files_of(random_runs(Random(5), 12), tmp_path_factory.mktemp("runs") / "in")


def digest(folder: Path) -> str:
    return BucketManifest.read(folder).digest


@pytest.mark.parametrize("command", ["tree", "pairs", "paths", "convert", "stats"])
def test_the_same_as_in_this_process(
    command: str, ray: Any, runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = []
    for engine in ("local", "ray"):
        output = ["-o", str(tmp_path / engine), "--buckets", "3"]
        assert main([command, str(runs), "--engine", engine, *output]) == 0
        told.append(capsys.readouterr().out.replace(str(tmp_path / engine), "DIR"))
    assert told[0] == told[1]
    assert digest(tmp_path / "local") == digest(tmp_path / "ray")


def test_forests_are_those_of_one_process(
    ray: Any, runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out")
    assert main(["tree", str(runs), "--json"]) == 0
    at_once = json.loads(capsys.readouterr().out)
    assert main(["tree", str(runs), "--engine", "ray", "-o", out, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found.pop("skipped") == at_once.pop("skipped")
    assert found.pop("digest") == at_once["digest"]
    assert found == pytest.approx({k: v for k, v in at_once.items() if k != "digest"})
    assert main(["tree", out, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["digest"] == at_once["digest"]
    assert w2s.open_forest(out).digest() == at_once["digest"]


def test_what_a_worker_raises_is_raised_here(
    ray: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = files_of(random_runs(Random(1), 3), tmp_path / "in", 1)
    content = bytearray((folder / "0.parquet").read_bytes())
    content[100:200] = bytes(100)
    (folder / "0.parquet").write_bytes(content)
    assert main(["tree", str(folder), "--engine", "ray", "-o", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert "0.parquet: a damaged Parquet file" in told and "Traceback" not in told


def test_a_call_whose_worker_is_killed_is_made_again(ray: Any, runs: Path, tmp_path: Path) -> None:
    from w2stree.scale.ray_engine import RayEngine

    def ends_its_process_once(mark: str) -> None:  # in here, since workers know no tests
        if not Path(mark).exists():
            Path(mark).touch()
            os.kill(os.getpid(), signal.SIGKILL)

    marks = [(str(tmp_path / f"{i}"),) for i in range(3)]
    list(RayEngine().calls(ends_its_process_once, marks))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["0", "1", "2"]


def test_nobody_but_the_engine_imports_ray() -> None:
    told = "import sys, w2stree.cli.app, w2stree.scale.jobs, w2stree.scale.tally; "
    told += "assert 'ray' not in sys.modules"
    subprocess.run([sys.executable, "-c", told], check=True)


def test_a_process_that_has_imported_ray_is_patient_too() -> None:
    """Who adds a machine to a busy cluster asks its head where it is: 5 s are Ray's default."""
    config = pytest.importorskip("ray")._raylet.Config
    with patient():
        assert config.py_gcs_connect_timeout_s() == 600
