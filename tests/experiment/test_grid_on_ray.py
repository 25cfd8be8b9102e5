"""`w2stree experiment --engine ray` on a cluster of two machines: the results of one machine.

The slow ones, with the whole method and a machine that shares nothing: pytest -m slow
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray")
pytest.importorskip("trl")
pytest.importorskip("gymnasium")
pytest.importorskip("matplotlib")

import ray
from support.experiments import w2stree
from support.json_lines import json_lines
from support.ray_cluster import LEFTOVERS, add_machine, free_ports, two_machines
from support.small_experiments import results_without_times, small, treasure_world
from support.treasure_hunters import EXAMPLE

from w2stree.errors import EngineFailure, InvalidInput
from w2stree.experiment.grid import ray_runner
from w2stree.experiment.grid.cells import Unit
from w2stree.experiment.grid.local_runner import LocalRunner
from w2stree.experiment.grid.plan import Plan, read_plan
from w2stree.experiment.grid.ray_runner import RayRunner
from w2stree.experiment.grid.results import Results
from w2stree.experiment.grid.running import Outcome, run_cells
from w2stree.experiment.grid.work import Runner
from w2stree.experiment.manifest import versions
from w2stree.experiment.run_lock import LOCK
from w2stree.rollouts.cluster.connection import connected as connected_to_ray

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.train,
    *LEFTOVERS,
]

Told = list[tuple[Unit, str, Any]]


@pytest.fixture(scope="module")
def client_port() -> int:
    (port,) = free_ports(1)
    return port


@pytest.fixture(scope="module")
def ending_starts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder on the machines' path: as many files `end-N` as lie in it, so many processes for
    clients end as they start."""
    folder = tmp_path_factory.mktemp("starts")
    (folder / "sitecustomize.py").write_text(
        """
import os, sys
from pathlib import Path

if "--mode=specific-server" in sys.orig_argv:
    for file in Path(__file__).parent.glob("end-*"):
        file.unlink()
        os._exit(1)
"""
    )
    return folder


@pytest.fixture(scope="module")
def machines(client_port: int, ending_starts: Path) -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        # The machines' own: their game is there.
        patch.setenv("PYTHONPATH", f"{ending_starts}{os.pathsep}{EXAMPLE.parent}")
        with two_machines(ray_client_server_port=client_port) as cluster:
            yield cluster


@pytest.fixture
def connected(machines: Any) -> Iterator[None]:
    ray.init(address=machines.address, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machines: Any) -> Path:
    monkeypatch.setenv("PYTHONPATH", str(EXAMPLE.parent))  # of commands
    monkeypatch.setenv("RAY_ADDRESS", machines.address)
    monkeypatch.syspath_prepend(str(EXAMPLE.parent))  # of this process
    treasure_world(tmp_path)
    return tmp_path


def run_all(
    folder: Path, plan: Plan, runner: Runner, announce: Callable[..., None] = lambda *_: None
) -> Outcome:
    """Every cell, in the folder's runs and results."""
    results = Results(folder / "results")
    return run_cells(
        plan,
        list(plan.cells()),
        runs=folder / "runs",
        results=results,
        runner=runner,
        announce=announce,
    )


def holder(run_dir: Path) -> int:
    """The process that a cell runs in."""
    return int(json.loads((run_dir / LOCK).read_text())["pid"])


def parent(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("PPid")).split()[1])


def runs_still(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "(zombie)" not in status.read_text()


def test_cells_of_killed_workers_run_again_to_the_same_results(
    world: Path, connected: None
) -> None:
    """One cell's worker of Ray is killed, the other's own process."""
    plan = read_plan(small(world, methods=["random"], seeds=2))
    said: Told = []
    killed: list[Unit] = []

    def announce(unit: Unit, kind: str, what: Any) -> None:
        said.append((unit, kind, what))
        if kind == "stage" and "running" in str(what) and unit not in killed:
            pid = holder(world / "runs" / plan.run_name(unit))
            os.kill(pid if killed else parent(pid), signal.SIGKILL)
            killed.append(unit)

    outcome = run_all(world, plan, RayRunner(plan), announce)
    assert len(killed) == 2
    assert len(outcome.finished) == 2, said
    lost = [str(w) for _, kind, w in said if kind == "warning" and "worker was lost" in str(w)]
    assert len(lost) == 2
    assert sum("The worker died unexpectedly" in words for words in lost) == 1
    assert sum("its process ended with status -9" in words for words in lost) == 1
    here = world / "here"
    here.mkdir()
    run_all(here, plan, LocalRunner(1))
    found = results_without_times(world / "results")
    assert found == results_without_times(here / "results")
    assert len(found) == 2


def test_a_cell_with_a_model_has_a_gpu_of_its_own_where_there_are_any(
    world: Path, connected: None, machines: Any
) -> None:
    """The GPU is declared: what is computed is computed on the CPU."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("CUDA_VISIBLE_DEVICES")
        added = add_machine(machines, num_gpus=1)
    try:
        plan = read_plan(small(world, methods=["sft_weak", "random"], seeds=1))
        visible: dict[str, str] = {}

        def announce(unit: Unit, kind: str, what: Any) -> None:
            if kind == "stage" and "running" in str(what) and unit.name not in visible:
                pid = holder(world / "runs" / plan.run_name(unit))
                lines = Path(f"/proc/{pid}/environ").read_text().split("\0")
                has = dict(line.partition("=")[::2] for line in lines)
                visible[unit.name] = has.get("CUDA_VISIBLE_DEVICES", "all")

        outcome = run_all(world, plan, RayRunner(plan), announce)
        assert len(outcome.finished) == 2
        assert visible["sft_weak"] == "0"
        assert visible["random"] in ("", "all"), "those of its machine"
    finally:
        machines.remove_node(added)


def test_what_no_machine_has_is_refused_with_what_they_have(
    world: Path, connected: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_runner, "_NOBODY_S", 1.0)
    plan = read_plan(small(world, methods=["random"], seeds=1, num_threads=64))
    with pytest.raises(EngineFailure, match=r"asks 64 cores of one machine, .* with 1 CPU, 0 GPU"):
        run_all(world, plan, RayRunner(plan))


def test_a_cell_s_error_is_told_with_its_machine(world: Path, connected: None) -> None:
    file = small(world, methods=["random"], seeds=1)
    plan = read_plan(file, overrides=["environment.make=nowhere:treasure"])
    outcome = run_all(world, plan, RayRunner(plan))
    (failed,) = outcome.failed
    told = Results(world / "results").failure(failed)
    assert told is not None
    assert told.startswith(f"{os.uname().nodename}: ")
    assert "nowhere" in told


def test_a_machine_with_other_versions_is_refused(world: Path, connected: None) -> None:
    plan = read_plan(small(world, methods=["random"], seeds=1))
    here = dict(versions())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ray_runner, "versions", lambda: here | {"torch": "0.1"})
        with pytest.raises(InvalidInput, match=r"^[^ ]+: torch 0\.1 \(here .*\): results would"):
            run_all(world, plan, RayRunner(plan))


def test_from_outside_the_cluster_it_is_not_driven(
    world: Path, client_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    small(world, methods=["random"], seeds=1)
    monkeypatch.setenv("RAY_ADDRESS", f"ray://127.0.0.1:{client_port}")
    ran = w2stree("experiment", "small.yaml", "--engine", "ray", cwd=world)
    assert ran.returncode == 2, ran.stderr
    assert "Ray is reached by its client" in ran.stderr


@pytest.mark.slow
def test_a_client_whose_process_ended_as_it_started_gets_another(
    machines: Any, client_port: int, ending_starts: Path
) -> None:
    """Ray notices after half a minute that the process is not there."""
    (ending_starts / "end-1").touch()
    with connected_to_ray(f"ray://127.0.0.1:{client_port}"):
        assert ray.get(ray.remote(lambda: "here").remote()) == "here"
    assert not (ending_starts / "end-1").exists()


def test_an_interrupt_ends_the_cells_on_all_machines(world: Path) -> None:
    small(world, methods=["random"], seeds=2)
    command = [sys.executable, "-m", "w2stree", "experiment", "small.yaml", "--engine", "ray"]
    driver = subprocess.Popen(command, cwd=world, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    runs = world / "runs" / "experiments"

    def held() -> list[Path]:
        locks = runs.glob(f"treasure--*/{LOCK}")
        return [lock.parent for lock in locks if lock.read_bytes().endswith(b"\n")]

    until(lambda: driver.poll() is not None or held())
    pids = [holder(run) for run in held()]
    assert pids
    driver.send_signal(signal.SIGINT)
    _, said = driver.communicate()
    assert driver.returncode == 130, said
    assert b"finished stages are kept in runs/experiments" in said
    until(lambda: not any(map(runs_still, pids)))


def at_once(told: list[dict[str, Any]]) -> int:
    """The most cells that had begun and not ended at a line. Not by what `running` says: that is
    told now and then, and a busy machine may miss the moments when two ran."""
    begun: set[tuple[int, str]] = set()
    most = 0
    for line in told:
        if "cell" not in line:
            continue
        cell = line["seed"], line["cell"]
        begun = begun - {cell} if "ended" in line else begun | {cell}
        most = max(most, len(begun))
    return most


@pytest.mark.slow
def test_two_machines_find_what_one_finds_and_make_no_stage_twice(world: Path) -> None:
    small(world, methods=["mcts_sft", "sft_strong"], seeds=2, contrasts=["mcts_sft - sft_strong"])
    here = w2stree("experiment", "small.yaml", "--out", "here", "--runs", "here-runs", cwd=world)
    assert here.returncode == 0, here.stderr
    there = w2stree("experiment", "small.yaml", "--engine", "ray", "--log-json", cwd=world)
    assert there.returncode == 0, there.stderr
    found = results_without_times(world / "results")
    assert len(found) == 4
    assert found == results_without_times(world / "here")
    tables = [(world / out / "small" / "table.md").read_text() for out in ("here", "results")]
    assert tables[0] == tables[1]
    told = json_lines(there.stderr)
    made = Counter(line["stage"] for line in told if "running" in line.get("said", ""))
    of_all_seeds = ("tasks", "demonstrations", "tokenizer", "sft_weak")
    assert {stage: made[stage] for stage in of_all_seeds} == dict.fromkeys(of_all_seeds, 1)
    assert at_once(told) == 2, "a machine has one core, and a cell takes one: both machines ran"


@pytest.mark.slow
def test_a_killed_driver_s_experiment_goes_on_to_the_same_results(world: Path) -> None:
    """kill -9 in the middle of the second cell; the first one has its result."""
    small(world, methods=["random", "sft_weak"], seeds=2)
    here = w2stree("experiment", "small.yaml", "--out", "here", "--runs", "here-runs", cwd=world)
    assert here.returncode == 0, here.stderr
    command = [sys.executable, "-m", "w2stree", "experiment", "small.yaml", "--engine", "ray"]
    driver = subprocess.Popen(
        command, cwd=world, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    until(lambda: list((world / "results").rglob("seed-*/*.json")))
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    assert driver.returncode == -signal.SIGKILL, "it was done before"
    first = {file: file.stat().st_mtime_ns for file in (world / "results").rglob("seed-*/*.json")}
    done = w2stree("experiment", "small.yaml", "--engine", "ray", cwd=world)
    assert done.returncode == 0, done.stderr
    assert results_without_times(world / "results") == results_without_times(world / "here")
    assert all(file.stat().st_mtime_ns == before for file, before in first.items())


@pytest.mark.slow
def test_a_machine_that_does_not_share_the_runs_is_refused(world: Path, machines: Any) -> None:
    """It has a disk of its own there: a mount that no other machine sees."""
    small(world, methods=["random"], seeds=1)
    (world / "runs").mkdir()
    with machine_without(world / "runs", machines):
        ran = w2stree("experiment", "small.yaml", "--engine", "ray", cwd=world)
    assert ran.returncode == 2, ran.stderr
    assert "runs/experiments is not the folder of this experiment's runs: .lock can" in ran.stderr
    assert not list((world / "results").rglob("seed-*"))


@contextmanager
def machine_without(folder: Path, machines: Any) -> Iterator[None]:
    """One more machine, for which something else lies in the folder."""
    mounted = f"mount -t tmpfs none {folder} && exec {sys.executable} -m ray.scripts.scripts start"
    started = f"{mounted} --address={machines.address} --num-cpus=1 --block"
    process = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", started],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        until(lambda: process.poll() is not None or len(machines_alive(machines)) == 3)
        if process.poll() is not None:
            pytest.skip("mounts of a process of its own are not allowed here")
        yield
    finally:
        process.terminate()
        process.wait(60)


def machines_alive(machines: Any) -> list[Any]:
    return [n for n in machines.global_state.node_table() if n["Alive"]]


def until(happened: Callable[[], Any]) -> None:
    waited = time.monotonic() + 900
    while not happened():
        assert time.monotonic() < waited, "it did not happen"
        time.sleep(0.1)
