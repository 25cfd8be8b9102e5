"""Rows of like lengths come together, in an order of the seed's, and each comes once an epoch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

import datasets
from support.tiny_models import tiny_model, tiny_tokenizer

from w2stree.training.optimisation import Optimisation
from w2stree.training.precision import training_precision
from w2stree.training.stage import arguments
from w2stree.training.unshared.collator import PreferenceCollator
from w2stree.training.unshared.dpo import DPOConfig, StepDPOTrainer
from w2stree.training.unshared.sft import SFTConfig, StepSFTTrainer

pytestmark = pytest.mark.train
LENGTHS = [3 + 17 * i % 96 for i in range(96)]
OPTIMISATION = Optimisation(num_epochs=1, learning_rate=1e-4, batch_size=4, micro_batch_size=2)


def trainer(kind: str, folder: Path, **options: Any) -> Any:
    model, tokenizer = tiny_model(tiny_tokenizer()), tiny_tokenizer()
    common = arguments(OPTIMISATION, training_precision(model, lora=False), str(folder), seed=3)
    common = {**common, "max_length": None, **options}
    made = {"model": model, "processing_class": tokenizer}
    if kind == "sft":
        rows = [{"input_ids": [i] * n, "labels": [i] * n} for i, n in enumerate(LENGTHS)]
        given = datasets.Dataset.from_list(rows)
        return StepSFTTrainer(args=SFTConfig(**common), train_dataset=given, **made)
    rows = [
        {
            "prompt_ids": [i],
            **{f"{side}_ids": [i] * (n - 1) for side in ("chosen", "rejected")},
            **{f"{side}_mask": [1] * (n - 1) for side in ("chosen", "rejected")},
            "ref_chosen_logps": 0.0,
            "ref_rejected_logps": 0.0,
        }
        for i, n in enumerate(LENGTHS)
    ]
    config = DPOConfig(precompute_ref_log_probs=True, remove_unused_columns=False, **common)
    return StepDPOTrainer(rows, args=config, data_collator=PreferenceCollator(0), **made)


def epoch(made: Any) -> tuple[list[int], float]:
    """The rows in their order, and which share of the positions is padding."""
    batches = list(made.get_train_dataloader())
    masks = [batch["attention_mask"] for batch in batches]
    num_rows = len(masks[0]) if "labels" in batches[0] else len(masks[0]) // 2
    order = [i for batch in batches for i in batch["input_ids"][:num_rows, 0].tolist()]
    return order, 1 - sum(int(m.sum()) for m in masks) / sum(m.numel() for m in masks)


@pytest.mark.parametrize("kind", ["sft", "dpo"])
def test_little_is_padding_and_the_order_is_the_seed_s(kind: str, tmp_path: Path) -> None:
    order, padding = epoch(trainer(kind, tmp_path))
    assert sorted(order) == list(range(len(LENGTHS)))
    _, at_random = epoch(trainer(kind, tmp_path, train_sampling_strategy="random"))
    assert padding < 0.06 < 0.2 < at_random
    assert epoch(trainer(kind, tmp_path))[0] == order
    assert epoch(trainer(kind, tmp_path, seed=4))[0] != order
