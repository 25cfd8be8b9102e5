"""A training that is killed goes on as if it had not been; two processes train as one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

import torch
from support.tree_training import pairs, trainer

from w2stree.training.trees.trainer import TreeTrainer

pytestmark = pytest.mark.train

TESTS = Path(__file__).resolve().parents[2]


def _run(*launcher: str, out: Path, **options: Any) -> int:
    """`support.tree_training` in processes of its own."""
    paths = [str(TESTS), str(TESTS.parent), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    program = [sys.executable, *launcher, "-m", "support.tree_training", str(out), "dpo"]
    done = subprocess.run(
        [*program, json.dumps(options)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, -9):
        pytest.fail(done.stderr[-4000:])
    return done.returncode


def _trained(out: Path, *, resume: bool | None = None, **options: Any) -> TreeTrainer:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        made = trainer("dpo", out, **options)
        made.train(resume_from_checkpoint=resume)
    finally:
        torch.set_num_threads(threads)
    return made


def _losses(made: TreeTrainer) -> list[float]:
    return [entry["loss"] for entry in made.state.log_history if "loss" in entry]


def test_a_killed_training_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    """Killed in the second epoch, between its steps; same weights to the bit."""
    options = {"save_strategy": "steps", "save_steps": 1}
    whole = _trained(tmp_path / "whole", **options)
    assert _run(out=tmp_path / "killed", killed_after=4, **options) == -9
    assert not (tmp_path / "killed" / "checkpoint-5").exists()
    resumed = _trained(tmp_path / "killed", resume=True, **options)
    weights = resumed.model.state_dict()
    assert all(torch.equal(w, weights[name]) for name, w in whole.model.state_dict().items())
    assert len(_losses(whole)) == 6
    assert _losses(whole) == _losses(resumed)
    assert whole.state.num_input_tokens_seen == resumed.state.num_input_tokens_seen > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("launcher", "options"),
    [
        (["torch.distributed.run", "--nproc_per_node", "2", "--standalone"], {}),
        (
            ["accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"],
            {"max_pack_tokens": 55, "activation_checkpointing": True},
        ),
    ],
    ids=["torchrun", "accelerate"],
)
def test_two_processes_train_as_one(launcher: list[str], options: Any, tmp_path: Path) -> None:
    """Eleven examples: at the end of an epoch the second process has none. Packs are cut too, of
    the second case in one process only, and an evaluation comes before the first step."""
    options = {"max_pack_tokens": 40, **options}
    out = tmp_path / "two"
    out.mkdir()
    _run(
        *("-m", *launcher),
        out=out,
        gradient_accumulation_steps=1,
        num_held_out=5,
        **options,
    )
    one = trainer("dpo", tmp_path / "one", eval_dataset=pairs(5), **options)
    before = one.evaluate()["eval_loss"]
    one.train()
    expected = [*_losses(one), before, one.evaluate()["eval_loss"]]
    assert json.loads((out / "losses.json").read_text()) == pytest.approx(expected, abs=1e-4)
    weights = torch.load(out / "weights.pt")
    for name, weight in one.model.state_dict().items():
        torch.testing.assert_close(weights[name], weight, atol=1e-4, rtol=0)
