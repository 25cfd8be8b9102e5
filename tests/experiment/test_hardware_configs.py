"""The configurations for real hardware, as they stand, on a CPU: tiny weights of the same family,
another game, fewer of everything. What runs is what runs there, but for the kernels."""

from __future__ import annotations

import json
import shutil
from importlib.resources import files
from pathlib import Path

import pytest

pytest.importorskip("trl")
pytest.importorskip("httpx2")
pytest.importorskip("matplotlib")

import torch
from support.chat_models import byte_level
from support.experiments import METHODS, w2stree
from support.lora_server import lora_server
from support.treasure_hunters import EXAMPLE, hunts
from transformers import Qwen2Config, Qwen2ForCausalLM

from w2stree import read_trajectories, write_trajectories
from w2stree.training.adapters import is_adapters
from w2stree.training.models import save_model

pytestmark = pytest.mark.train

OVERRIDES = (
    "environment={name: gymnasium, make: 'own_environment:treasure', max_steps: 6}",
    "demonstrations=shown.jsonl",
    "tasks={demonstrations: 3, explore: 2, test: 2, test_split: train}",
    "decoding.max_new_tokens=6",
    "decoding.actions=admissible",  # random weights say no action of their own
    "max_length=2000",
    "num_threads=1",
    "search.num_simulations=20",
    "evaluate.num_bootstrap=100",
    "mcts_sft.min_return=0.0",
    "tree_dpo.max_rows=4",
)


def qwen(folder: Path, *, hidden_size: int) -> None:
    """Qwen2 as Qwen2.5's directories have it, with its chat template: two layers, random."""
    template = files("trl") / "chat_templates" / "qwen2_5.jinja"
    tokenizer = byte_level(template.read_text(encoding="utf-8"))
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=hidden_size,
        intermediate_size=2 * hidden_size,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    save_model(folder, Qwen2ForCausalLM(config).bfloat16(), tokenizer)


def prepared(cwd: Path) -> None:
    shutil.copy(EXAMPLE, cwd)
    write_trajectories(cwd / "shown.jsonl", hunts(range(300, 312)))
    qwen(cwd / "weak", hidden_size=32)
    qwen(cwd / "strong", hidden_size=64)


def dry_run(name: str, cwd: Path, *overrides: str) -> Path:
    """The run's directory, gone through from the first stage to the report."""
    paths = ("weak.path=weak", "strong.path=strong", "ceiling=null")  # no expert shows the explored
    given = (*OVERRIDES, *paths, *overrides)
    ran = w2stree("run", name, *given, cwd=cwd)
    assert ran.returncode == 0, ran.stderr[-4000:]
    run_dir = cwd / "runs" / name
    report = json.loads((run_dir / "report" / "report.json").read_text(encoding="utf-8"))
    assert tuple(row["method"] for row in report["rows"]) == METHODS[:-1]
    assert all(row["num_errors"] == 0 for row in report["rows"])
    assert "base" in {t["model"] for t in report["config"]["explore"]["samplings"]}
    explored = read_trajectories(run_dir / "explore" / "trajectories.jsonl")
    assert len(explored) == 2 * 6
    return run_dir


@pytest.mark.slow
def test_qwen_on_one_gpu(tmp_path: Path) -> None:
    prepared(tmp_path)
    run_dir = dry_run("qwen_24gb", tmp_path)
    assert not is_adapters(run_dir / "tree_dpo" / "model")


@pytest.mark.slow
def test_qwen_on_eight_gpus(tmp_path: Path) -> None:
    prepared(tmp_path)
    folders = [tmp_path / "server_of_weak", tmp_path / "server_of_strong"]
    for folder in folders:
        folder.mkdir()
    with (
        lora_server(tmp_path / "weak", folders[0]) as weak,
        lora_server(tmp_path / "strong", folders[1]) as strong,
    ):
        urls = (f"weak.served.base_url={weak}", f"strong.served.base_url={strong}")
        run_dir = dry_run("qwen_8gpu", tmp_path, *urls, "launch.num_processes=2")
    for stage in ("sft_weak", "sft_strong", "tree_dpo", "mcts_sft"):
        assert is_adapters(run_dir / stage / "model")
        manifest = json.loads((run_dir / stage / "manifest.json").read_text(encoding="utf-8"))
        assert manifest["metrics"]["num_processes"] == 2
    for folder, num_models in zip(folders, (2, 3), strict=True):
        lines = (folder / "requests.jsonl").read_text().splitlines()
        asked = [json.loads(line) for line in lines]
        orders = [what for what, _ in asked if what != "completions"]
        assert orders == ["load_lora_adapter", "unload_lora_adapter"] * num_models
