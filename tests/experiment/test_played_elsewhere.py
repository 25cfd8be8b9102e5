"""Explorations and evaluations of a run on a cluster of two machines: one machine's, to the byte.

The slow one, a whole run by its command: pytest -m slow tests/experiment/test_played_elsewhere.py
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray")
pytest.importorskip("trl")
pytest.importorskip("gymnasium")
pytest.importorskip("matplotlib")

import ray
from support.demonstrated import experiment
from support.experiments import w2stree
from support.journals import record
from support.ray_cluster import LEFTOVERS, two_machines
from support.small_experiments import treasure_world
from support.tiny_models import tiny_model, tiny_tokenizer
from support.treasure_hunters import EXAMPLE

from w2stree.cli.before_models import before_models
from w2stree.errors import RunDirectoryError
from w2stree.experiment.hashes import MANIFEST
from w2stree.experiment.methods import random, sft
from w2stree.experiment.methods.method import Method
from w2stree.experiment.run_directory import StageWriter
from w2stree.experiment.stages.bar import Silent, Update
from w2stree.experiment.stages.context import Context
from w2stree.experiment.stages.makers import Maker, MakersElsewhere
from w2stree.experiment.stages.play import evaluate, explore
from w2stree.rollouts.cluster.ray_cluster import RayCluster
from w2stree.training.models import save_model
from w2stree.trajectories.files import read_trajectories
from w2stree.trajectories.journal import read_journal

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.train,
    pytest.mark.filterwarnings("ignore::w2stree.errors.IdenticalTrajectories"),
    pytest.mark.filterwarnings("ignore::w2stree.errors.TurnsWithoutAction"),
    *LEFTOVERS,
]

WALK = {"name": "gymnasium", "make": "bench.faults.cluster_game:walk", "max_steps": 8}
TASKS = {"demonstrations": 1, "explore": 2, "test": 12}
DECODING = {"actions": "admissible", "thought": False}


@pytest.fixture(scope="module")
def machines() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(EXAMPLE.parent), *sys.path]))
        with two_machines() as cluster:
            yield cluster


@pytest.fixture
def cluster(machines: Any, tmp_path: Path) -> Iterator[RayCluster]:
    ray.init(address=machines.address, log_to_driver=False, logging_level="ERROR")
    yield RayCluster(before_models, told=lambda words: None, folder=tmp_path / "local")
    ray.shutdown()


class Watched(Silent):
    """Has somebody look at every episode."""

    def __init__(self, look: Callable[[int], None]) -> None:
        self._look = look

    @contextmanager
    def steps(self, what: str) -> Iterator[Update]:
        yield lambda done, total, metrics: self._look(done)


@contextmanager
def walkers(folder: Path, model: str = "sft_weak") -> Iterator[Context]:
    samplings = {"samplings": [{"temperature": t} for t in (0.5, 1.0)]}
    with experiment(folder, None, WALK, TASKS, explore=samplings, decoding=DECODING) as context:
        tokenizer = tiny_tokenizer()
        save_model(context.model_dir(model), tiny_model(tokenizer), tokenizer)
        yield context


def evaluated(context: Context, method: Method) -> bytes:
    out = StageWriter(context.run_dir / f"evaluate_{method.name}", key="0123456789abcdef")
    out.folder.mkdir(exist_ok=True)
    evaluate(context, out, method)
    for file in out.outlived:  # as a finished stage does
        file.unlink()
    return (out.folder / "trajectories.jsonl").read_bytes()


def workers(local: Path) -> list[int]:
    """Process ids of those that have a journal."""
    return [json.loads(owner.read_text())["pid"] for owner in local.rglob(".*.owner")]


def test_an_evaluation_is_one_machine_s_whoever_is_killed(
    cluster: RayCluster, tmp_path: Path
) -> None:
    killed: list[int] = []

    def kill(done: int) -> None:
        if not killed:
            killed.append(workers(tmp_path / "local")[0])
            os.kill(killed[0], signal.SIGKILL)

    with walkers(tmp_path) as context:
        here = evaluated(context, random.METHOD)
        context.cluster, context.bar = cluster, Watched(kill)
        assert evaluated(context, random.METHOD) == here
        assert not list(context.run_dir.glob(".evaluate_*"))
    assert killed
    assert here.count(b"\n") == 12


def test_an_interrupted_evaluation_goes_on_with_what_was_played(
    cluster: RayCluster, tmp_path: Path
) -> None:
    def interrupt(done: int) -> None:
        raise KeyboardInterrupt

    with walkers(tmp_path) as context:
        here = evaluated(context, random.METHOD)
        context.cluster, context.bar = cluster, Watched(interrupt)
        with pytest.raises(KeyboardInterrupt):
            evaluated(context, random.METHOD)
        (journal,) = context.run_dir.glob(".evaluate_random-*.journal")
        played = read_journal(journal).trajectories
        assert 0 < len(played) < 12
        context.bar = Silent()
        assert evaluated(context, random.METHOD) == here


def test_what_the_journal_has_is_played_again_only_where_it_failed(
    cluster: RayCluster, tmp_path: Path
) -> None:
    with walkers(tmp_path) as context:
        evaluated(context, random.METHOD)
        file = context.run_dir / "evaluate_random" / "trajectories.jsonl"
        played = list(read_trajectories(file))
        seen = [replace(t, origin=replace(t.origin, policy="seen before")) for t in played]
        why = replace(seen[3].origin, error="the dials are missing")
        failed = replace(seen[3], status="error", origin=why)
        journal = context.run_dir / ".evaluate_random-0123456789abcdef.journal"
        record(journal, [*seen[:3], failed, *seen[4:]])
        context.cluster = cluster
        evaluated(context, random.METHOD)
        again = list(read_trajectories(file))
    assert again[:3] + again[4:] == seen[:3] + seen[4:]
    assert again[3] == replace(played[3], origin=replace(played[3].origin, attempt=1))


def test_models_play_elsewhere_what_they_play_here(cluster: RayCluster, tmp_path: Path) -> None:
    """One environment a machine: a batch of one, here as there."""
    with walkers(tmp_path) as context:
        here = evaluated(context, sft.WEAK)
        explored = StageWriter(context.run_dir / "explore")
        explored.folder.mkdir()
        explore(context, explored)
        before = (explored.folder / "trajectories.jsonl").read_bytes()
        for file in explored.outlived:
            file.unlink()
        context.cluster = cluster
        assert evaluated(context, sft.WEAK) == here
        explore(context, explored)
        assert (explored.folder / "trajectories.jsonl").read_bytes() == before


def test_another_model_under_the_same_path_does_not_play(tmp_path: Path) -> None:
    stage = tmp_path / "sft_weak"
    stage.mkdir()
    (stage / MANIFEST).write_text("{}")
    makers = MakersElsewhere.of({"tuned": Maker(lambda: "the policy", (stage,))})
    assert makers("tuned") == "the policy"
    (stage / MANIFEST).write_text('{"another": 1}')
    with pytest.raises(RunDirectoryError, match=r"sft_weak is not the driver's, whose model is to"):
        makers("tuned")
    shutil.rmtree(stage)
    with pytest.raises(RunDirectoryError, match="give --run-dir a folder of a file system that"):
        makers("tuned")


@pytest.mark.slow
def test_a_run_comes_out_as_on_one_machine(
    tmp_path: Path, machines: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(EXAMPLE.parent))
    monkeypatch.setenv("RAY_ADDRESS", machines.address)
    treasure_world(tmp_path)
    here = w2stree("run", "treasure.yaml", "--run-dir", "here", cwd=tmp_path)
    assert here.returncode == 0, here.stderr
    options = ("--run-dir", "there", "--engine", "ray", "--local-dir", str(tmp_path / "local"))
    there = w2stree("run", "treasure.yaml", *options, cwd=tmp_path)
    assert there.returncode == 0, there.stderr
    outputs = [
        {
            manifest.parent.name: json.loads(manifest.read_text())["outputs"]
            for manifest in (tmp_path / run).glob(f"*/{MANIFEST}")
            if manifest.parent.name != "report"  # it tells times
        }
        for run in ("here", "there")
    ]
    assert outputs[0] == outputs[1]
    assert {"explore", "evaluate_random", "evaluate_tree_dpo"} <= outputs[0].keys()
    assert not list((tmp_path / "local").rglob("*.journal"))
