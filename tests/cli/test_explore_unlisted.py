"""`w2stree explore` of a game that says it lists its actions, and lists none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pydantic")

from w2stree.cli.app import main
from w2stree.trajectories.journal import read_journal

CONFIG = """
name: doors
environment: {name: gymnasium, make: "support.games:Doors", options: {admissible: none},
  num_processes: 1}
tasks: {split: train, count: 3}
policy: {name: random}
samplings: [{}]
"""


def test_it_is_refused_before_anything_is_played(tmp_path: Path) -> None:
    (tmp_path / "doors.yaml").write_text(CONFIG)
    command = [sys.executable, "-m", "w2stree", "explore", str(tmp_path / "doors.yaml")]
    ran = subprocess.run(
        [*command, "--run-dir", str(tmp_path / "run")],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert ran.returncode == 2
    assert "support.games:Doors lists no actions at the start of" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert read_journal(tmp_path / "run" / "episodes.journal").trajectories == ()


LEVELS = """
from pathlib import Path

def levels(seed):
    if str(seed) in Path("broken").read_text().split():
        raise OSError(f"level {seed} is gone")
    action = yield f"Level {seed}.", 0.0, ["left", "right"]
    return "Done.", 1.0
"""


def test_a_first_task_that_breaks_later_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("levels.py").write_text(LEVELS)
    Path("broken").touch()
    made = CONFIG.replace("support.games:Doors", "levels:levels")
    Path("doors.yaml").write_text(made.replace("options: {admissible: none},\n", "max_steps: 3,\n"))
    command = ["explore", "doors.yaml", "--run-dir", "run"]
    assert main([*command, "budget.episodes=1"]) == 0
    first = next(iter(json.loads(Path("run/tasks.json").read_text())["openings"]))
    Path("broken").write_text(first.rpartition("/")[2])
    assert main(command) == 0
    assert len(read_journal("run/episodes.journal").trajectories) == 3
