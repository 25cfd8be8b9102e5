"""More tasks to test on, or a dev panel: what plays other tasks stays as it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

from w2stree.experiment.changes import Change
from w2stree.experiment.run_directory import RunDirectory, StageSpec

pytestmark = pytest.mark.train

TASKS = StageSpec("tasks", (), ("tasks.json",), reads=("tasks",))
EXPLORE = StageSpec("explore", ("tasks",), files={"tasks": ("explore.json",)})
EVALUATE = StageSpec("evaluate", ("tasks",), files={"tasks": ("evaluated.json",)})
REPORT = StageSpec("report", ("tasks",))


def opened(folder: Path, *, num_test: int) -> RunDirectory:
    def accept(directory: RunDirectory, differing: Any) -> None:
        assert all(isinstance(change, Change) for change in differing)

    return RunDirectory(folder, {"tasks": {"explore": 2, "test": num_test}}, accept=accept)


def make(directory: RunDirectory, *specs: StageSpec, num_test: int, by_part: bool = True) -> None:
    for spec in specs:
        with directory.write(spec, 0) as out:
            if spec.name != "tasks":
                (out.folder / "result").write_text(spec.name)
                continue
            parts = {"explore": ["a", "b"], "evaluated": [str(i) for i in range(num_test)]}
            (out.folder / "tasks.json").write_text(json.dumps(parts))
            for name, ids in parts.items() if by_part else ():
                (out.folder / f"{name}.json").write_text(json.dumps(ids))


def test_evaluations_alone_are_redone(tmp_path: Path) -> None:
    make(opened(tmp_path, num_test=3), TASKS, EXPLORE, EVALUATE, REPORT, num_test=3)
    directory = opened(tmp_path, num_test=5)
    assert not directory.is_current(TASKS)
    make(directory, TASKS, num_test=5)
    assert directory.is_current(EXPLORE)
    assert directory.why_redo(EVALUATE) == "tasks: another than it was made from"
    assert directory.why_redo(REPORT) == "tasks: another than it was made from"


def test_a_run_without_files_of_parts_goes_on(tmp_path: Path) -> None:
    """As an older version made it: then, once its tasks are chosen again, and are the same."""
    directory = opened(tmp_path, num_test=3)
    make(directory, TASKS, EXPLORE, EVALUATE, num_test=3, by_part=False)
    assert directory.is_current(EXPLORE) and directory.is_current(EVALUATE)
    make(directory, TASKS, num_test=3)
    assert directory.is_current(EXPLORE) and directory.is_current(EVALUATE)
    make(directory, TASKS, num_test=4)
    assert not directory.is_current(EXPLORE), "of which tasks it played nothing was said"


def test_the_file_that_is_read_is_checked(tmp_path: Path) -> None:
    directory = opened(tmp_path, num_test=3)
    make(directory, TASKS, EXPLORE, num_test=3)
    record = json.loads((tmp_path / "explore" / "manifest.json").read_text())
    assert list(record["inputs"]["tasks"]) == ["explore.json"]
