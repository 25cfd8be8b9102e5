from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from support.kitchen import Kitchen

from w2stree.errors import InvalidInput, RunDirectoryError
from w2stree.experiment.run_directory import RunDirectory, StageSpec, StageWriter
from w2stree.experiment.running import run_stages


def test_a_rerun_skips_what_is_finished(kitchen: Kitchen) -> None:
    assert kitchen.run() == ["a", "b", "c"]
    assert kitchen.run() == []


def test_an_interrupted_run_goes_on_where_it_stopped(kitchen: Kitchen) -> None:
    kitchen.breaks = "b"
    with pytest.raises(KeyboardInterrupt):
        kitchen.run()
    names = sorted(p.name for p in kitchen.directory.path.iterdir())
    assert names == [".lock", "a", "config.json"], "nothing of b is left"
    kitchen.breaks = ""
    assert kitchen.run() == ["b", "c"]


def test_force_redoes_a_stage_and_what_its_new_result_changes(kitchen: Kitchen) -> None:
    kitchen.run()
    assert kitchen.run("a") == ["a"], "the same result leaves b and c as they are"
    kitchen.content = "other"
    assert kitchen.run("a") == ["a", "b", "c"]


def test_manifests_say_how_a_result_came_about(kitchen: Kitchen) -> None:
    kitchen.run()
    manifest = json.loads((kitchen.directory.stage("b") / "manifest.json").read_text())
    assert manifest["config"] == {"seed": 1}
    assert manifest["seed"] == 1
    assert manifest["metrics"] == {"num_results": 1}
    assert manifest["versions"]["numpy"]
    a = json.loads((kitchen.directory.stage("a") / "manifest.json").read_text())
    assert manifest["inputs"] == {"a": a["outputs"]}
    assert len(manifest["outputs"]["result.txt"]) == 64


def test_another_configuration_s_directory_is_refused(kitchen: Kitchen) -> None:
    kitchen.run()
    with pytest.raises(RunDirectoryError, match=r"seed: 1 there, 2 now.*--run-dir"):
        RunDirectory(kitchen.directory.path, {"seed": 2})
    assert RunDirectory(kitchen.directory.path, {"seed": 1})


def test_a_directory_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("do not touch")
    with pytest.raises(RunDirectoryError, match="not a run directory"):
        RunDirectory(tmp_path, {"seed": 1})
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_torn_manifest_is_named(kitchen: Kitchen) -> None:
    kitchen.run()
    (kitchen.directory.stage("a") / "manifest.json").write_text('{"stage": "a"')
    with pytest.raises(RunDirectoryError, match=r"a/manifest.json: not valid JSON.*--force a"):
        kitchen.run()
    (kitchen.directory.stage("a") / "manifest.json").write_text('{"stage": "a"}')
    with pytest.raises(RunDirectoryError, match=r"a/manifest.json: not a manifest"):
        kitchen.run()


def test_a_configuration_that_finished_nothing_may_be_corrected(tmp_path: Path) -> None:
    RunDirectory(tmp_path / "run", {"seed": 1})
    corrected = RunDirectory(tmp_path / "run", {"seed": 2})
    assert json.loads((corrected.path / "config.json").read_text()) == {"seed": 2}


@pytest.mark.parametrize("result", ["episodes.journal", "explore/manifest.json"])
def test_what_another_command_has_made_is_not_taken_over(tmp_path: Path, result: str) -> None:
    other = {"policy": {"name": "random"}}
    RunDirectory(tmp_path / "run", other)
    (tmp_path / "run" / result).parent.mkdir(exist_ok=True)
    (tmp_path / "run" / result).write_text("made")
    with pytest.raises(RunDirectoryError, match=r"policy: .*; seed: None there, 1 now"):
        RunDirectory(tmp_path / "run", {"seed": 1})
    assert json.loads((tmp_path / "run" / "config.json").read_text()) == other


def test_an_older_layout_is_compared_as_it_would_be_recorded_today(kitchen: Kitchen) -> None:
    kitchen.run()
    path = kitchen.directory.path

    def read(recorded: Any) -> Any:
        if "seed" not in recorded:
            raise InvalidInput("config.json: seed: is missing")
        return {"seeds": [recorded["seed"]]}

    with pytest.raises(RunDirectoryError, match=r"seeds\[0\]: 1 there, 2 now"):
        RunDirectory(path, {"seeds": [2]}, read=read)
    assert RunDirectory(path, {"seeds": [1]}, read=read)
    assert json.loads((path / "config.json").read_text()) == {"seeds": [1]}
    with pytest.raises(RunDirectoryError, match=r"of another version, .*seed: is missing"):
        RunDirectory(path, {"seeds": [1]}, read=read)


def test_one_process_holds_a_run(kitchen: Kitchen) -> None:
    path = kitchen.directory.path
    before = (path / "config.json").read_text()
    with kitchen.directory.lock():
        for config in ({"seed": 1}, {"seed": 2}):
            with pytest.raises(RunDirectoryError, match=rf"in use by process {os.getpid()} on "):
                RunDirectory(path, config)
        assert (path / "config.json").read_text() == before, "no result is there yet"
    assert RunDirectory(path, {"seed": 2})
    with kitchen.directory.lock():
        assert (path / "config.json").read_text() == before, "whoever runs writes its own"


def test_a_changed_external_file_makes_a_stage_run_again(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "weights.bin").write_text("one")
    directory = RunDirectory(tmp_path / "run", {})
    spec = StageSpec("a", (), external=(model,))
    with directory.write(spec, 0):
        pass
    assert directory.is_current(spec)
    (model / "weights.bin").write_text("two")
    assert not directory.is_current(spec)


def test_a_stage_that_an_older_version_finished_without_a_file_is_redone(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "run", {})
    ran = []

    def stage(out: StageWriter) -> None:
        ran.append(out.folder.name)
        (out.folder / "summary.json").write_text("{}")
        (out.folder / "model").mkdir()
        (out.folder / "model" / "weights.bin").write_text("")

    older, newer = (
        StageSpec("a", (), makes=makes) for makes in ((), ("summary.json", "model/weights.bin"))
    )
    with directory.write(older, 0) as out:
        (out.folder / "summary.json").write_text("{}")
    for _ in range(2):
        run_stages(directory, [(newer, stage)], seed=0, announce=lambda *_: None)
    assert ran == [".a.partial"], "redone once"


def test_a_stage_that_does_not_make_its_files_fails(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "run", {})
    spec = StageSpec("a", (), makes=("summary.json",))
    with pytest.raises(RunDirectoryError, match=r"stage a did not write summary\.json"):
        run_stages(directory, [(spec, lambda _: None)], seed=0, announce=lambda *_: None)
    assert directory.manifest("a") is None


def test_a_result_that_was_changed_by_hand_is_named(kitchen: Kitchen) -> None:
    kitchen.run()
    result = kitchen.directory.stage("a") / "result.txt"
    before = result.read_text()
    touched = result.stat().st_mtime_ns + 10**9
    result.write_text("by hand")
    os.utime(result, ns=(touched, touched))
    with pytest.raises(RunDirectoryError, match=r"a/result.txt is not what the stage a wrote"):
        kitchen.run()
    result.write_text(before)
    os.utime(result, ns=(touched, touched))
    assert kitchen.run() == [], "touched, and the same"
    result.write_text("by hand")
    assert kitchen.run("a") == ["a"]


def test_a_result_that_was_lost_is_made_again(kitchen: Kitchen) -> None:
    kitchen.run()
    (kitchen.directory.stage("b") / "result.txt").unlink()
    assert kitchen.run() == ["b"]


def test_a_configuration_that_is_the_same_is_not_written_again(kitchen: Kitchen) -> None:
    kitchen.run()
    config = kitchen.directory.path / "config.json"
    before = config.stat().st_mtime_ns
    assert RunDirectory(kitchen.directory.path, {"seed": 1})
    assert config.stat().st_mtime_ns == before


def test_forcing_keeps_the_old_result_until_there_is_a_new_one(kitchen: Kitchen) -> None:
    kitchen.run()
    kitchen.breaks = "a"
    with pytest.raises(KeyboardInterrupt):
        kitchen.run("a")
    assert (kitchen.directory.stage("a") / "result.txt").read_text() == "a same"
    kitchen.breaks = ""
    assert kitchen.run() == [], "the run is as it was"


def test_other_versions_are_said(kitchen: Kitchen) -> None:
    kitchen.run()
    file = kitchen.directory.stage("b") / "manifest.json"
    manifest = json.loads(file.read_text())
    manifest["versions"]["numpy"] = "0.1"
    file.write_text(json.dumps(manifest))
    said: list[str] = []
    specs = [StageSpec("a", ()), StageSpec("b", ("a",))]
    run_stages(
        kitchen.directory,
        [(spec, lambda _: None) for spec in specs],
        seed=1,
        announce=lambda stage, what: said.append(f"{stage} {what}"),
    )
    assert said[0] == "a done before"
    assert said[1].startswith("b done before, with numpy 0.1 (here ")


def test_what_is_read_is_what_is_written_down(tmp_path: Path) -> None:
    outside = tmp_path / "words"
    outside.write_text("one")
    directory = RunDirectory(tmp_path / "run", {})
    with (
        pytest.raises(RunDirectoryError, match=r"/words was changed while the stage a read it"),
        directory.write(StageSpec("a", (), external=(outside,)), 0),
    ):
        outside.write_text("two")
    assert directory.manifest("a") is None


def test_files_outlived_go_once_the_result_is_whole(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "run", {})
    journal = directory.path / ".explore.journal"
    journal.write_text("played")
    with directory.write(StageSpec("a", ()), 0) as out:
        out.outlived.append(journal)
        assert journal.exists()
    assert not journal.exists()


def test_figures_of_a_diverged_training_are_read_again(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "run", {})
    with directory.write(StageSpec("a", ()), 0) as out:
        out.metrics.update(loss=float("nan"), text="half \ud83d")
    manifest = directory.manifest("a")
    assert manifest is not None
    assert manifest["metrics"]["loss"] != manifest["metrics"]["loss"]
    assert manifest["metrics"]["text"] == "half \ud83d"
