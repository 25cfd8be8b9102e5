"""Runs side by side that take finished stages from one another, and make none twice."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from w2stree.errors import RunDirectoryError
from w2stree.experiment.run_directory import RunDirectory, StageSpec, StageWriter
from w2stree.experiment.running import run_stages
from w2stree.experiment.shared_runs import MAKING, SharedRuns

SPECS = (
    StageSpec("pretrain", (), ("model/weights.bin",), reads=("pretrain",)),
    StageSpec("explore", (), ("result.txt",), reads=("explore",)),
    StageSpec("train", ("pretrain", "explore"), ("result.txt",), reads=("seed",)),
)
CONFIG = {"pretrain": 1, "explore": 1, "seed": 0}

Fill = Callable[[str, StageWriter], None]


def fill(name: str, out: StageWriter) -> None:
    (out.folder / "model").mkdir()
    for file in ("result.txt", "model/weights.bin"):
        (out.folder / file).write_text(f"{file} of {name}")


def go(
    run: Path, *force: str, shared: Path | None = None, by: Fill = fill, **config: Any
) -> list[str]:
    """Runs the stages; what was said of each, in order."""
    said: list[str] = []

    def stage(name: str) -> Callable[[StageWriter], None]:
        return lambda out: by(name, out)

    run_stages(
        RunDirectory(run, CONFIG | config, accept=lambda *_: None),
        [(spec, stage(spec.name)) for spec in SPECS],
        seed=0,
        force=force,
        announce=lambda name, what: said.append(f"{name} {what}"),
        shared=None if shared is None else SharedRuns(shared),
    )
    return [line for line in said if "finished" not in line]


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A folder with one finished run, a."""
    go(tmp_path / "runs" / "a")
    return tmp_path / "runs"


def test_equal_stages_are_taken_and_others_made(runs: Path) -> None:
    assert go(runs / "b", shared=runs, seed=1) == [
        f"pretrain taken from {runs}/a",
        f"explore taken from {runs}/a",
        "train running",
    ]
    assert go(runs / "b", shared=runs, seed=1) == [f"{s.name} done before" for s in SPECS]
    manifest = json.loads((runs / "b" / "pretrain" / "manifest.json").read_text())
    assert manifest["taken_from"] == str(runs / "a" / "pretrain")
    assert manifest["config"]["seed"] == 0, "of the run that made it"
    assert go(runs / "c", shared=runs, pretrain=2) == [
        "pretrain running",
        f"explore taken from {runs}/a",
        f"train taken from {runs}/a",
    ], "the other pretraining comes out the same"
    assert go(runs / "d") == [f"{s.name} running" for s in SPECS], "asked for alone"
    assert list((runs / MAKING).iterdir()) == []


def test_a_run_outlives_the_one_it_took_from(runs: Path) -> None:
    go(runs / "b", shared=runs)
    weights = [runs / run / "pretrain" / "model" / "weights.bin" for run in "ab"]
    assert weights[0].samefile(weights[1]), "no second copy on the disk"
    shutil.rmtree(runs / "a")
    assert go(runs / "b") == [f"{s.name} done before" for s in SPECS]
    assert go(runs / "c", shared=runs) == [f"{s.name} taken from {runs}/b" for s in SPECS]


def test_redoing_a_stage_leaves_those_who_took_it(runs: Path) -> None:
    go(runs / "b", shared=runs)

    def other(name: str, out: StageWriter) -> None:
        fill(f"other {name}", out)

    assert "pretrain running" in go(runs / "a", "pretrain", by=other)
    assert (runs / "a" / "pretrain" / "result.txt").read_text() == "result.txt of other pretrain"
    assert go(runs / "b") == [f"{s.name} done before" for s in SPECS]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda stage: (stage / "result.txt").write_text("by hand"),
        lambda stage: (stage / "model" / "weights.bin").unlink(),
        lambda stage: (stage / "manifest.json").write_text("{"),
        lambda stage: (stage / "manifest.json").write_text("{}"),
        lambda stage: stage.rename(stage.with_name(".pretrain.old")),
        lambda stage: rewritten(stage, lambda record: record | {"stage": "explore"}),
        lambda stage: rewritten(stage, lambda record: record | {"inputs": {"x": {}}}),
        lambda stage: rewritten(stage, lambda r: r | {"outputs": {"../outside": "0" * 64}}),
        lambda stage: rewritten(stage, lambda r: r | {"outputs": {"model": "0" * 64}}),
    ],
)
def test_what_is_not_whole_is_not_taken(runs: Path, spoil: Callable[[Path], object]) -> None:
    spoil(runs / "a" / "pretrain")
    assert go(runs / "b", shared=runs)[:2] == [
        "pretrain running",
        f"explore taken from {runs}/a",
    ]
    assert not list((runs / "b").glob(".*.partial"))
    assert not (runs / "b" / "outside").exists()


def rewritten(stage: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    file = stage / "manifest.json"
    file.write_text(json.dumps(change(json.loads(file.read_text()))))


def test_a_whole_one_is_found_behind_an_edited_one(runs: Path) -> None:
    go(runs / "b")
    (runs / "a" / "pretrain" / "result.txt").write_text("by hand")
    assert go(runs / "c", shared=runs)[0] == f"pretrain taken from {runs}/b"


def test_a_linked_file_that_is_edited_is_found_in_every_run(runs: Path) -> None:
    go(runs / "b", shared=runs)
    (runs / "a" / "pretrain" / "result.txt").write_text("by hand")
    for run in "ab":
        with pytest.raises(RunDirectoryError, match=r"is not what the stage pretrain wrote"):
            go(runs / run)


def test_files_of_another_file_system_are_copied(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refused)
    assert go(runs / "b", shared=runs) == [f"{s.name} taken from {runs}/a" for s in SPECS]
    files = [runs / run / "pretrain" / "result.txt" for run in "ab"]
    assert files[0].read_bytes() == files[1].read_bytes() and not files[0].samefile(files[1])


def test_a_stage_that_is_out_of_date_may_be_taken_too(runs: Path) -> None:
    go(runs / "b", pretrain=2)
    assert go(runs / "b", shared=runs) == [
        "pretrain to be redone: pretrain: 2 there, 1 now (took 0 s)",
        "train to be redone: if pretrain comes out different (took 0 s)",
        f"pretrain taken from {runs}/a",
        "explore done before",
        "train done before",
    ]


def test_forced_stages_are_made_here(runs: Path) -> None:
    assert go(runs / "b", "pretrain", shared=runs)[0] == "pretrain running"


def test_a_folder_that_holds_no_runs_is_named(runs: Path) -> None:
    with pytest.raises(RunDirectoryError, match=r"runs/a: is a run directory; give the folder"):
        SharedRuns(runs / "a").refuse_none(runs / "b")
    with pytest.raises(RunDirectoryError, match=r"rnus: no such folder of runs"):
        SharedRuns(runs.with_name("rnus")).refuse_none(runs / "b")
    SharedRuns(runs.with_name("new")).refuse_none(runs.with_name("new") / "first")


FORK = multiprocessing.get_context("fork")


def beside(runs: Path, name: str, by: Fill, **config: Any) -> tuple[Any, Any]:
    """A run in a process of its own, and where it sends what was said."""
    here, there = FORK.Pipe()

    def work() -> None:
        there.send(go(runs / name, shared=runs, by=by, **config))

    process = FORK.Process(target=work)
    process.start()
    return process, here


def test_two_at_once_make_different_stages_and_none_twice(tmp_path: Path) -> None:
    """Each is in its first stage when the other one looks for something to do."""
    runs = tmp_path / "runs"
    runs.mkdir()
    both_make = FORK.Barrier(2)

    def together(name: str, out: StageWriter) -> None:
        if name != "train":
            both_make.wait(60)  # one makes pretrain, the other explore: else this breaks
        fill(name, out)

    started = [beside(runs, name, together, seed=seed) for seed, name in enumerate("ab")]
    said = [pipe.recv() for _, pipe in started]
    for process, _ in started:
        process.join()
        assert process.exitcode == 0
    lines = sorted(line for of_one in said for line in of_one if "waiting" not in line)
    makers = {line.partition(" ")[0]: i for i in (0, 1) for line in said[i] if "running" in line}
    assert makers["pretrain"] != makers["explore"]
    a, b = f"{runs}/a", f"{runs}/b"
    of_pretrain, of_explore = (b, a) if makers["explore"] == 0 else (a, b)
    assert lines == [
        "explore running",
        f"explore taken from {of_explore}",
        "pretrain running",
        f"pretrain taken from {of_pretrain}",
        "train running",
        "train running",
    ]


def test_a_stage_is_waited_for_and_made_when_its_maker_is_killed(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    begun, waiting = FORK.Event(), threading.Event()

    def forever(name: str, out: StageWriter) -> None:
        if name == "train":
            begun.set()
            signal.pause()
        fill(name, out)

    maker, _ = beside(runs, "a", forever)
    assert begun.wait(60)
    said: list[str] = []

    def told(name: str, what: str) -> None:
        said.append(f"{name} {what}")
        if "waiting" in what:
            waiting.set()

    waiter = threading.Thread(
        target=lambda: run_stages(
            RunDirectory(runs / "b", CONFIG),
            [(spec, lambda out, name=spec.name: fill(name, out)) for spec in SPECS],
            seed=0,
            announce=told,
            shared=SharedRuns(runs),
        )
    )
    waiter.start()
    assert waiting.wait(60)
    assert not (runs / "b" / "train").exists()
    maker.kill()
    maker.join()
    waiter.join(60)
    assert said[2].startswith(f"train waiting: process {maker.pid} on ")
    assert said[3:4] == ["train running"]
    assert (runs / "b" / "train" / "manifest.json").is_file()
    assert list((runs / MAKING).iterdir()) == []


def test_a_run_of_somebody_else_s_is_passed_over(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tests may run as root, to whom nothing is closed."""
    (runs / "0").mkdir()
    of_path = Path.is_file

    def refused(path: Path) -> bool:
        if runs / "0" in path.parents:
            raise PermissionError(13, "Permission denied", str(path))
        return of_path(path)

    monkeypatch.setattr(Path, "is_file", refused)
    assert go(runs / "b", shared=runs)[0] == f"pretrain taken from {runs}/a"


def test_a_folder_that_cannot_be_locked_is_named(runs: Path) -> None:
    (runs / MAKING).write_text("no folder")
    with pytest.raises(RunDirectoryError, match=r"cannot be locked .*: leave --share out"):
        go(runs / "b", shared=runs)
