"""`w2stree experiment` with real cells: killed, gone on with, failed, and from results alone.

The slow one: pytest -m slow tests/experiment/test_grid_running.py
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("trl")
pytest.importorskip("gymnasium")
pytest.importorskip("matplotlib")

from support.experiments import w2stree
from support.json_lines import documented, json_lines, last
from support.small_experiments import small, treasure_world
from support.treasure_hunters import EXAMPLE

from w2stree.cli.app import main
from w2stree.errors import RunDirectoryError
from w2stree.experiment.grid import cell_process
from w2stree.experiment.grid.cell_process import CellProcess
from w2stree.experiment.grid.cells import Cell
from w2stree.experiment.grid.local_runner import LocalRunner
from w2stree.experiment.grid.measuring import run_cell
from w2stree.experiment.grid.plan import Plan, read_plan
from w2stree.experiment.grid.results import Results
from w2stree.experiment.grid.running import Outcome, run_cells
from w2stree.experiment.grid.times import Times
from w2stree.experiment.grid.work import Work
from w2stree.experiment.run_lock import holding
from w2stree.experiment.stages.bar import Silent

pytestmark = pytest.mark.train


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a world that is learned in seconds; demonstrations are in a file."""
    monkeypatch.setenv("PYTHONPATH", str(EXAMPLE.parent))  # of commands
    monkeypatch.syspath_prepend(str(EXAMPLE.parent))  # of this process, and its workers
    treasure_world(tmp_path)
    return tmp_path


def run_all(folder: Path, plan: Plan, **options: Any) -> Outcome:
    """Every cell, in the folder's runs and results."""
    options = {"announce": lambda *_: None} | options
    results = Results(folder / "results")
    return run_cells(plan, list(plan.cells()), runs=folder / "runs", results=results, **options)


def test_a_failure_is_recorded_and_tried_again_and_what_is_done_stays(world: Path) -> None:
    variants = {"base": {}, "short": {"max_length": 8}}
    small(world, methods=["sft_weak"], seeds=1, variants=variants)
    ran = w2stree("experiment", "small.yaml", "--processes", "1", cwd=world)
    assert ran.returncode == 1, ran.stderr
    assert "1 failed" in ran.stderr
    assert "sft_weak on treasure (short), seed 0: failed:" in ran.stdout
    cells = world / "results" / "small" / "treasure"
    result = cells / "base" / "seed-0" / "sft_weak.json"
    record = json.loads(result.read_text())
    assert len(record["panels"]["test"]["returns"]) == 2
    assert record["changes"] == {}
    stages = ["tasks", "demonstrations", "tokenizer", "sft_weak", "evaluate_sft_weak"]
    assert sorted(record["stages"]) == sorted(stages), "what leads to the method, and no more"
    assert record["training"]["num_steps"] > 0
    assert (cells / "short" / "seed-0" / "sft_weak.failed.json").is_file()
    before = result.stat().st_mtime_ns
    small(world, methods=["sft_weak"], seeds=1, variants=variants | {"short": {"max_length": 1000}})
    again = w2stree("experiment", "small.yaml", "--processes", "1", cwd=world)
    assert again.returncode == 0, again.stderr
    assert "treasure base" not in again.stdout.partition("# small")[0], "it is done"
    assert not (cells / "short" / "seed-0" / "sft_weak.failed.json").exists()
    assert result.stat().st_mtime_ns == before
    shutil.rmtree(world / "runs")
    alone = w2stree("experiment", "small.yaml", "--report-only", cwd=world)
    assert alone.returncode == 0, alone.stderr
    assert "2 of 2 cells" in alone.stdout
    assert not (world / "runs").exists()


def test_programs_are_told_of_cells_and_curves_change_no_result(world: Path) -> None:
    pytest.importorskip("tensorboard")
    small(world, methods=["sft_weak"], seeds=1)
    command = ("experiment", "small.yaml", "--processes", "1", "--log-json")
    ran = w2stree(*command, "report_to=tensorboard", cwd=world)
    assert ran.returncode == 0, ran.stderr
    cell = {"world": "treasure", "variant": "base", "seed": 0, "cell": "sft_weak"}
    told = json_lines(ran.stderr)
    stages = [line["stage"] for line in told if line.items() >= cell.items() and "stage" in line]
    assert {"tasks", "sft_weak", "evaluate_sft_weak"} <= set(stages)
    assert [line["ended"] for line in told if "ended" in line] == ["done"]
    last_of_all = last(ran.stderr, "cells")
    assert (last_of_all["done"], last_of_all["total"], last_of_all["running"]) == (1, 1, [])
    now = [doing for line in told for doing in line.get("running", ())]
    assert all(doing.items() >= cell.items() and "done" in doing for doing in now)
    assert {key for line in (*told, *now) for key in line} <= documented()
    (curve,) = (world / "runs" / "experiments" / "treasure--seed-0" / ".curves").iterdir()
    assert curve.name.startswith("treasure--seed-0.smallest.sft_weak.seed-0.")
    before = bytes_in(world / "results")
    again = w2stree(*command, cwd=world)
    assert again.returncode == 0, again.stderr
    assert [line for line in json_lines(again.stderr) if "stage" in line] == [], "it is done"
    assert bytes_in(world / "results") == before, "no other configuration either"


def bytes_in(folder: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in folder.rglob("*.json")}


def test_a_test_panel_may_be_called_dev(world: Path) -> None:
    config = yaml.safe_load((world / "treasure.yaml").read_text())
    config["tasks"]["test"] = {"dev": {"split": "dev", "count": 3}}
    for num_dev in (None, 2):
        config["tasks"]["dev"] = num_dev
        (world / "treasure.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
        plan = read_plan(small(world, methods=["random"], seeds=1))
        (cell,) = plan.cells()
        record, _ = run_cell(
            plan.config(cell),
            plan.worlds[cell.world],
            world / "runs" / str(num_dev),
            cell.method,
            redo=False,
            announce=lambda stage, what: None,
            bar=Silent(),
        )
        assert {name: panel["num_tasks"] for name, panel in record["panels"].items()} == {"dev": 3}
        assert record.get("dev", {}).get("num_tasks") == num_dev


def test_nothing_is_begun_that_does_not_fit_the_budget(world: Path) -> None:
    plan = read_plan(small(world, methods=["sft_weak"], seeds=2))
    outcome = run_all(world, plan, budget_s=0.0)
    assert (len(outcome.finished), len(outcome.failed), len(outcome.left)) == (0, 0, 2)


def test_one_call_at_a_time_holds_the_runs(world: Path) -> None:
    plan = read_plan(small(world, methods=["sft_weak"], seeds=1))
    (world / "runs").mkdir()
    with holding(world / "runs"), pytest.raises(RunDirectoryError, match="is in use by process"):
        run_all(world, plan)


def test_the_time_of_a_cell_is_that_of_the_stages_it_lacks(tmp_path: Path) -> None:
    cell, other = (Cell("w", "base", seed, "tree_dpo") for seed in (0, 1))
    times = Times()
    assert times.expected(other, tmp_path) is None
    stages = {
        "sft_strong": {"seconds": 30.0, "outputs": "a"},
        "tree_dpo": {"seconds": 50.0, "outputs": "b"},
    }
    times.add(cell, {"stages": stages})
    times.add(other, {"stages": {**stages, "tree_dpo": {"seconds": 70.0, "outputs": "c"}}})
    assert times.expected(cell, tmp_path) == 30 + 60
    (tmp_path / "sft_strong").mkdir()
    (tmp_path / "sft_strong" / "manifest.json").write_text("{}")
    assert times.expected(cell, tmp_path) == 60


def test_the_time_left_has_a_stage_of_two_cells_once(world: Path) -> None:
    plan = read_plan(small(world, methods=["mcts_sft", "sft_strong"], seeds=1))
    times = Times()
    mcts, strong = plan.cells()
    shared = {"sft_strong": {"seconds": 30.0, "outputs": "a"}}
    times.add(strong, {"stages": shared})
    times.add(mcts, {"stages": {**shared, "mcts_sft": {"seconds": 50.0, "outputs": "b"}}})
    work = Work(plan, world, Results(world), LocalRunner(), lambda *_: None, lambda *_: None)
    work.times, work.pending = times, [mcts, strong]
    assert work.seconds_left(1) == 30 + 50
    assert work.seconds_left(2) == (30 + 50) / 2


def test_a_worker_that_dies_in_the_middle_of_a_line_costs_its_cell(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while it tells a result, which is longer than a pipe takes at once."""
    program = 'import os, sys\nos.write(int(sys.argv[1]), b\'{"record": {"pan\')\n'
    (world / "half_told.py").write_text(program)
    monkeypatch.syspath_prepend(str(world))
    monkeypatch.setattr(cell_process, "_WORKER", "half_told")
    plan = read_plan(small(world, methods=["sft_weak"], seeds=2))
    outcome = run_all(world, plan)
    assert len(outcome.failed) == 2
    told = Results(world / "results").failure(outcome.failed[0])
    assert told is not None
    assert told.startswith("its process ended with status 0")


def test_the_first_error_of_ours_ends_all(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a full disk, say: nothing of what still runs could be kept either."""
    program = "import sys, time\nfor _ in sys.stdin: pass\n"
    (world / "silent.py").write_text(program)
    monkeypatch.syspath_prepend(str(world))
    monkeypatch.setattr(cell_process, "_WORKER", "silent")
    plan = read_plan(small(world, methods=["sft_weak"], seeds=2))
    asked: list[str] = []

    def fails_once(process: CellProcess, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        asked.append(request["run_dir"])
        if len(asked) == 2:
            raise OSError("no space left on device")
        return really(process, request)

    really = CellProcess.ask
    monkeypatch.setattr(CellProcess, "ask", fails_once)
    with pytest.raises(OSError, match="no space left"):
        run_all(world, plan)


def test_no_name_is_not_all_of_them(world: Path) -> None:
    small(world, methods=["sft_weak"], seeds=1)
    ran = w2stree("experiment", "small.yaml", "--methods", ",", cwd=world)
    assert ran.returncode == 2, ran.stderr
    assert "names none; leave it out for all" in ran.stderr
    assert not (world / "runs").exists()


def test_a_report_alone_does_not_choose_what_runs(
    world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = small(world, methods=["sft_weak"], seeds=1)
    given = ["--report-only", "--worlds", "treasure", "--redo", "--out", str(world / "results")]
    assert main(["experiment", file, *given]) == 2
    assert "--report-only runs nothing: leave out --worlds, --redo" in capsys.readouterr().err
    assert not (world / "results").exists()


@pytest.mark.slow
def test_a_killed_experiment_goes_on_to_the_same_results(world: Path) -> None:
    """Two methods, two seeds, two workers; kill -9 once the first cell is done."""
    small(world, methods=["mcts_sft", "sft_strong"], seeds=2, contrasts=["mcts_sft - sft_strong"])
    whole = w2stree("experiment", "small.yaml", "--out", "whole", "--runs", "whole-runs", cwd=world)
    assert whole.returncode == 0, whole.stderr
    command = [sys.executable, "-m", "w2stree", "experiment", "small.yaml"]
    process = subprocess.Popen(
        command, cwd=world, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    waited = time.monotonic() + 900
    while not list((world / "results").rglob("seed-*/*.json")) and time.monotonic() < waited:
        time.sleep(0.05)
    workers = children_of(process.pid)
    assert len(workers) == 2
    process.send_signal(signal.SIGKILL)
    process.wait()
    waited = time.monotonic() + 60
    while any(map(is_there, workers)):
        assert time.monotonic() < waited, "a worker outlived the experiment"
        time.sleep(0.05)
    done = w2stree("experiment", "small.yaml", cwd=world)
    assert done.returncode == 0, done.stderr
    assert results_in(world / "results") == results_in(world / "whole")
    tables = [world / folder / "small" / "table.md" for folder in ("results", "whole")]
    assert tables[0].read_text() == tables[1].read_text()


@pytest.mark.slow
def test_a_worker_that_dies_costs_its_cell(world: Path) -> None:
    plan = read_plan(small(world, methods=["sft_weak"], seeds=2))
    said: list[tuple[str, str]] = []

    def announce(cell: Cell, kind: str, what: str) -> None:
        if kind == "stage" and "stage" not in dict(said):
            for worker in children_of(os.getpid()):
                os.kill(worker, signal.SIGKILL)
        said.append((kind, what))

    outcome = run_all(world, plan, runner=LocalRunner(1), announce=announce)
    assert [cell.seed for cell in outcome.failed] == [0], said
    assert [cell.seed for cell in outcome.finished] == [1]
    assert any(str(what).startswith("its process ended with status -9") for _, what in said)


def children_of(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for file in listed for child in file.read_text().split()]


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "(zombie)" not in Path(f"/proc/{pid}/status").read_text()


def results_in(folder: Path) -> dict[str, Any]:
    """Every cell's result without times, memory and whatever depends on them."""
    found = {}
    for file in sorted(folder.rglob("seed-*/*.json")):
        record = json.loads(file.read_text())
        for key in ("seconds", "training"):
            del record[key]
        record["stages"] = {
            name: stage["outputs"]
            for name, stage in record["stages"].items()
            if name.startswith("evaluate") or "sft" in name
        }
        found[str(file.relative_to(folder))] = record
    assert len(found) == 4
    return found
