"""Rows as they are written, taken by the trainers as they are installed.

pytest -m slow tests/rows/test_rows_in_trainers.py      the trainers that take longer, too
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

from datasets import load_dataset
from support.tiny_models import BAD, GOOD, WORSE, tiny_model, tiny_tokenizer
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

import w2stree as w2s
from w2stree.cli.app import main
from w2stree.training.models import save_model

pytestmark = pytest.mark.train


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    w2s.write_trajectories("runs.jsonl", [GOOD, BAD, WORSE])
    tokenizer = tiny_tokenizer()
    save_model("model", tiny_model(tokenizer), tokenizer)
    return tmp_path


def config(kind: Any, **more: Any) -> Any:
    return kind(
        output_dir="out", use_cpu=True, bf16=False, report_to=[], max_steps=1,
        per_device_train_batch_size=2, gradient_checkpointing=False, save_strategy="no", **more,
    )  # fmt: skip


def model_of(folder: Path) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return AutoModelForCausalLM.from_pretrained("model"), AutoTokenizer.from_pretrained("model")


def rows_of(name: str) -> Any:
    kind = "parquet" if name.endswith("parquet") else "json"
    return load_dataset(kind, data_files=name, split="train", cache_dir="cache")


def test_dpo_takes_preferences(folder: Path) -> None:
    """At a first step, policy and reference being one, the loss is ln 2."""
    assert main(["pairs", "runs.jsonl", "-o", "dpo.parquet"]) == 0
    model, tokenizer = model_of(folder)
    trainer = DPOTrainer(
        model, args=config(DPOConfig, max_length=None), train_dataset=rows_of("dpo.parquet"),
        processing_class=tokenizer,
    )  # fmt: skip
    assert len(trainer.train_dataset) == 3
    assert trainer.train().training_loss == pytest.approx(0.6931, abs=1e-3)


def test_sft_takes_rows_of_tokens(folder: Path) -> None:
    words = ["paths", "runs.jsonl", "-o", "sft.parquet", "--all-runs", "--tokenizer", "model"]
    assert main(words) == 0
    model, tokenizer = model_of(folder)
    trainer = SFTTrainer(
        model, args=config(SFTConfig, max_length=None), train_dataset=rows_of("sft.parquet"),
        processing_class=tokenizer,
    )  # fmt: skip
    rows = rows_of("sft.parquet")
    assert [r["labels"] for r in trainer.train_dataset] == [r["labels"] for r in rows]
    assert trainer.train().training_loss > 0


def test_sft_takes_conversations(folder: Path) -> None:
    assert main(["paths", "runs.jsonl", "-o", "sft.jsonl", "--all-runs"]) == 0
    model, tokenizer = model_of(folder)
    trainer = SFTTrainer(
        model, args=config(SFTConfig, max_length=None), train_dataset=rows_of("sft.jsonl"),
        processing_class=tokenizer,
    )  # fmt: skip
    assert trainer.train().training_loss > 0


@pytest.mark.parametrize("words", [["pairs"], ["paths"]])
def test_kto_takes_judged_rows(folder: Path, words: list[str]) -> None:
    from trl import KTOConfig, KTOTrainer

    assert main([*words, "runs.jsonl", "-o", "kto.jsonl", "--kind", "kto"]) == 0
    model, tokenizer = model_of(folder)
    trainer = KTOTrainer(
        model, args=config(KTOConfig, max_length=None), train_dataset=rows_of("kto.jsonl"),
        processing_class=tokenizer,
    )  # fmt: skip
    assert trainer.train().training_loss > 0


@pytest.mark.slow
def test_the_command_of_trl(folder: Path) -> None:
    """`trl dpo` on the folder, as the command says."""
    import subprocess
    import sys

    assert main(["pairs", "runs.jsonl", "-o", "dpo/"]) == 0
    words = "dpo --model_name_or_path model --dataset_name dpo --output_dir out --max_steps 1"
    words += " --use_cpu --bf16 false --report_to none --gradient_checkpointing false"
    command = [sys.executable, "-c", "from trl.cli import main; main()", *words.split()]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


def test_w2stree_train_takes_what_pairs_and_paths_wrote(folder: Path) -> None:
    """A suffix row's turns are the ones its masks name, and rows of ids are those of the runs."""
    for ending in ("jsonl", "parquet"):
        out = f"dpo.{ending}"
        assert main(["pairs", "runs.jsonl", "-o", out, "--completion", "suffix"]) == 0
        words = ["train", "dpo", out, "--model", "model", "--output", f"by-{ending}"]
        assert main([*words, "--epochs", "1", "--holdout", "0"]) == 0
    texts = [Path(f"by-{e}/metrics.json").read_text(encoding="utf-8") for e in ("jsonl", "parquet")]
    metrics = [json.loads(text) for text in texts]
    assert metrics[0]["num_trained_rows"] == metrics[1]["num_trained_rows"] == 3


def test_masks_name_the_tokens_that_count(folder: Path) -> None:
    """By message in rows of messages, by id in rows of ids: the same turns."""
    assert main(["pairs", "runs.jsonl", "-o", "m.jsonl", "--completion", "suffix"]) == 0
    words = ["pairs", "runs.jsonl", "-o", "t.jsonl", "--completion", "suffix"]
    assert main([*words, "--tokenizer", "model"]) == 0
    _, tokenizer = model_of(folder)
    for row, ids in zip(rows_of("m.jsonl"), rows_of("t.jsonl"), strict=True):
        for side in ("chosen", "rejected"):
            mask = ids[f"{side}_mask"]
            scored = [i for i, m in zip(ids[f"{side}_ids"], mask, strict=True) if m]
            text = tokenizer.decode(scored)
            for message, is_scored in zip(row[side], row[f"{side}_mask"], strict=True):
                assert (message["content"] in text) == bool(is_scored)
