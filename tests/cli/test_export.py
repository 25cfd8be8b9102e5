"""`w2stree export`: what other programs open, of real commands."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from support.explorations import play
from support.lock import Lock
from support.looked_at import MIXED, write_log
from support.speedscope_schema import SCHEMA
from support.trace_events import check

from w2stree.cli.app import main
from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.trajectories.files import read_trajectories, write_trajectories
from w2stree.trajectories.times import stage_times, times_file

pytestmark = pytest.mark.filterwarnings("ignore::w2stree.errors.IdenticalTrajectories")


@pytest.fixture
def explored(tmp_path: Path) -> Path:
    """A directory as `w2stree explore` leaves it, but for its configuration."""
    run = tmp_path / "run"
    run.mkdir()
    journal = run / "episodes.journal"
    with EnvironmentPool(Lock, 2) as pool:
        play(journal, pool, times=times_file(journal))
    return run


def test_a_profile_of_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log, out = write_log(tmp_path), tmp_path / "p.json"
    assert main(["export", "speedscope", str(log), "-o", str(out)]) == 0
    told = capsys.readouterr().out
    assert "p.json: 7 runs; open it at" in told
    assert "8 runs read = 7 used + 1 skipped (1 ended in an error)" in told
    record = json.loads(out.read_text())
    jsonschema.validate(record, SCHEMA)
    assert sum(record["profiles"][0]["weights"]) == 7
    assert main(["export", "speedscope", str(log), "-o", str(out)]) == 2
    assert "is there: write it over with --force" in capsys.readouterr().err
    alone = ["--task", MIXED, "--force"]
    assert main(["export", "speedscope", str(log), "-o", str(out), *alone]) == 0
    assert sum(json.loads(out.read_text())["profiles"][0]["weights"]) == 3


def test_a_timeline_of_an_exploration(
    explored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "trace.json"
    assert main(["export", "timeline", str(explored), "-o", str(out)]) == 0
    assert "trace.json: 9 episodes; open it at https://ui.perfetto.dev" in capsys.readouterr().out
    events = check(json.loads(out.read_text()))
    assert sum(e["ph"] == "X" and e["cat"] == "episode" for e in events) == 9
    journal = str(explored / "episodes.journal")
    assert main(["export", "timeline", journal, "-o", str(out), "--force"]) == 0


def test_a_timeline_of_a_run_s_stage(
    explored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, out = tmp_path / "whole", tmp_path / "trace.json"
    (run / "explore").mkdir(parents=True)
    journal = explored / "episodes.journal"
    write_trajectories(run / "explore" / "trajectories.jsonl", read_trajectories(journal))
    command = ["export", "timeline", str(run), "-o", str(out)]
    assert main(command) == 2
    told = capsys.readouterr().err
    assert "has no times of its 9 episodes (.explore.times): an older version played them" in told
    assert not out.exists()
    whole = times_file(journal).read_text().splitlines(keepends=True)
    stage_times(run, "explore").write_text("".join(whole[2:]))
    assert main(command) == 0
    told = capsys.readouterr()
    assert "7 episodes" in told.out and "2 episodes left out: no times" in told.err
    assert main([*command, "--force", "--stage", "explore_strong"]) == 2
    assert "no exploration is there: neither episodes.journal" in capsys.readouterr().err


def test_times_are_read_as_no_runs(explored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tasks", str(explored)]) == 0
    assert "times" not in "".join(capsys.readouterr())
