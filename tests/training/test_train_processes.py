"""`w2stree train` in two processes: one of them says and writes, and both train one model."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("trl")

import torch
from support.tiny_models import BAD, GOOD, WORSE, tiny_model, tiny_tokenizer
from transformers import AutoModelForCausalLM

from w2stree import write_trajectories
from w2stree.training.models import save_model
from w2stree.trajectories.trajectory import Message

pytestmark = [pytest.mark.train, pytest.mark.slow]  # pytest -m slow tests/training


def test_two_processes_train_what_one_trains(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    save_model(tmp_path / "strong", tiny_model(tokenizer), tokenizer)
    runs = [
        replace(t, task_id=f"task-{i}", prompt=(Message("user", f"Cook meal {i}."),))
        for i in range(4)
        for t in (GOOD, BAD, WORSE)
    ]
    write_trajectories(tmp_path / "runs.jsonl", runs)
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    told = [
        train(tmp_path, launcher, "two", accumulated=1),
        train(tmp_path, [], "one", accumulated=2),
    ]
    for name, words in zip(("two", "one"), told, strict=True):
        assert words.count("runs.jsonl: trajectories") == 1
        assert words.count(f"model: {name}") == 1
    one, two = (
        AutoModelForCausalLM.from_pretrained(tmp_path / name).state_dict()
        for name in ("one", "two")
    )
    assert all(torch.allclose(one[name], two[name], atol=1e-4) for name in one)
    assert not list(tmp_path.glob(".*.partial"))


def train(folder: Path, launcher: list[str], output: str, *, accumulated: int) -> str:
    arguments = f"gradient_accumulation_steps: {accumulated}\n"
    (folder / "args.yaml").write_text(arguments)
    command = [sys.executable, *launcher, "-m", "w2stree", "train", "dpo", "runs.jsonl"]
    options = {"--model": "strong", "--output": output, "--lr": "1e-3", "--epochs": "2"}
    options |= {"--batch-size": "2", "--holdout": "0", "--args": "args.yaml"}
    ran = subprocess.run(
        [*command, *(word for option in options.items() for word in option)],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout
