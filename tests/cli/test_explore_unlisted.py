"""`w2stree explore` of a game that says it lists its actions, and lists none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pydantic")

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
