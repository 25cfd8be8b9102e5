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
from peft import get_peft_model_state_dict
from support.sharded_training import adapters
from support.tree_training import pairs, trainer

from w2stree.errors import InvalidInput
from w2stree.training.trees.trainer import TreeTrainer

pytestmark = pytest.mark.train

TESTS = Path(__file__).resolve().parents[2]


WAITED_S = 1200  # for processes that hang; none takes a minute on an idle machine


def _run(
    *launcher: str,
    out: Path,
    program: str = "tree_training",
    method: str = "dpo",
    fails: str = "",
    **options: Any,
) -> int:
    """A program of `support` in processes of its own; `fails`: what it must end with."""
    paths = [str(TESTS), str(TESTS.parent), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *launcher, "-m", f"support.{program}", str(out), method]
    done = subprocess.run(
        [*command, json.dumps(options)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=WAITED_S,
    )
    if fails:
        assert done.returncode and fails in done.stderr, done.stderr[-4000:]
    elif done.returncode not in (0, -9):
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


def test_going_on_from_the_last_step_takes_none(tmp_path: Path) -> None:
    """It is within an epoch of three; transformers would take one more."""
    options = {"save_strategy": "steps", "save_steps": 1, "max_steps": 2}
    whole = _trained(tmp_path, **options)
    again = _trained(tmp_path, resume=True, **options)
    assert again.state.global_step == 2
    weights = again.model.state_dict()
    assert all(torch.equal(w, weights[name]) for name, w in whole.model.state_dict().items())


def test_a_checkpoint_of_another_number_of_processes_is_refused(tmp_path: Path) -> None:
    _trained(tmp_path, save_strategy="steps", save_steps=1, max_steps=1)
    checkpoint = tmp_path / "checkpoint-1"
    (checkpoint / "rng_state.pth").rename(checkpoint / "rng_state_0.pth")
    (checkpoint / "rng_state_1.pth").touch()
    with pytest.raises(InvalidInput, match=r"checkpoint-1 is of a training in 2 processes, and"):
        _trained(tmp_path, resume=True, max_steps=2)


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


FSDP = (
    *("-m", "accelerate.commands.launch", "--num_processes", "2", "--use_fsdp"),
    *("--fsdp_version", "2", "--fsdp_auto_wrap_policy", "TRANSFORMER_BASED_WRAP"),
)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "lora"), [("dpo", False), ("sft", True)])
def test_sharded_models_train_as_whole_ones(method: str, lora: bool, tmp_path: Path) -> None:
    """All weights, and adapters; gathered on the first process, whole."""
    given = {"program": "sharded_training", "method": method, "lora": lora}
    _run(*FSDP, out=tmp_path, gradient_accumulation_steps=1, **given)
    one = trainer(method, tmp_path / "one", peft_config=adapters() if lora else None)
    one.train()
    whole = one.model.state_dict()
    expected = get_peft_model_state_dict(one.model, whole) if lora else whole
    found = torch.load(tmp_path / "weights.pt")
    assert found.keys() == expected.keys()
    for name, weight in expected.items():
        torch.testing.assert_close(found[name], weight, atol=1e-6, rtol=0)


@pytest.mark.slow
def test_packs_that_would_be_cut_are_refused_where_models_are_sharded(tmp_path: Path) -> None:
    given = {"program": "sharded_training", "lora": False, "max_pack_tokens": 20}
    _run(*FSDP, out=tmp_path, fails="under FSDP none may be computed in parts", **given)
