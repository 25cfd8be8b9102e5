"""Weights that are trained move, in whatever precision their checkpoint is."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

import torch
from support.tiny_models import BAD, GOOD, WORSE, tiny_model, tiny_tokenizer
from transformers import AutoModelForCausalLM

from w2stree.forest.build import build_forest
from w2stree.rows.rows import preference_rows
from w2stree.rows.tokenized import tokenize_preferences, tokenize_sft
from w2stree.training import precision, stage
from w2stree.training.models import save_model
from w2stree.training.optimisation import Lora, Optimisation
from w2stree.training.precision import Precision, precision_of
from w2stree.training.stage import TrainedWeights
from w2stree.training.unshared import dpo, scoring
from w2stree.training.unshared.scoring import sequence_logprobs
from w2stree.training.unshared.sft import train_sft
from w2stree.turns.chat import ChatFormat

pytestmark = pytest.mark.train
SMALL_RATE = Optimisation(num_epochs=6, learning_rate=1e-5, batch_size=1, warmup_ratio=0.0)


@pytest.mark.parametrize("checkpoint", [torch.bfloat16, torch.float16, torch.float32])
def test_what_is_trained_is_float32_and_a_base_keeps_its_checkpoint_s(
    checkpoint: torch.dtype,
) -> None:
    for bfloat16 in (True, False):
        whole = precision_of(checkpoint, lora=False, bfloat16=bfloat16)
        assert whole == Precision(torch.float32, is_autocast=bfloat16)
    assert precision_of(checkpoint, lora=True, bfloat16=True) == Precision(checkpoint, True)
    assert precision_of(checkpoint, lora=True, bfloat16=False) == Precision(torch.float32, False)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A bfloat16 model directory, as they are published."""
    tokenizer = tiny_tokenizer()
    save_model(tmp_path / "checkpoint", tiny_model(tokenizer).bfloat16(), tokenizer)
    return tmp_path / "checkpoint"


def _opened(checkpoint: Path) -> Any:
    """As on a GPU: in the checkpoint's precision."""
    model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype="auto")
    assert model.dtype == torch.bfloat16
    return model


def _train(model: Any, folder: Path, optimisation: Optimisation = SMALL_RATE) -> TrainedWeights:
    tokenizer = tiny_tokenizer()
    rows = tokenize_sft([GOOD, BAD, WORSE], ChatFormat(tokenizer), max_length=512).rows
    return train_sft(model.train(), tokenizer, rows, optimisation, output_dir=str(folder), seed=0)


@torch.no_grad()
def _loss(model: Any) -> float:
    """Of the rows above, in float32."""
    rows = tokenize_sft([GOOD, BAD, WORSE], ChatFormat(tiny_tokenizer()), max_length=512).rows
    model = copy.deepcopy(model).float().eval()
    losses = [
        model(input_ids=torch.tensor([r["input_ids"]]), labels=torch.tensor([r["labels"]])).loss
        for r in rows
    ]
    return float(sum(losses) / len(losses))


def _gains(checkpoint: Path, *trained: TrainedWeights) -> list[float]:
    start = _loss(_opened(checkpoint))
    return [start - _loss(t.model) for t in trained]


def _share_moved(before: Any, after: Any) -> float:
    pairs = list(zip(before.parameters(), after.parameters(), strict=True))
    moved = sum(int((a.float() != b.float()).sum()) for a, b in pairs)
    return moved / sum(a.numel() for a, _ in pairs)


def test_a_bfloat16_checkpoint_learns_as_in_float32(checkpoint: Path, tmp_path: Path) -> None:
    trained = _train(_opened(checkpoint), tmp_path)
    exact = _train(_opened(checkpoint).float(), tmp_path)
    assert trained.model.dtype == torch.float32
    assert trained.metrics["loss_after"] == exact.metrics["loss_after"]
    assert trained.metrics["loss_after"] < trained.metrics["loss_before"]
    assert _share_moved(_opened(checkpoint), trained.model) > 0.99


def test_bfloat16_autocast_learns_nearly_as_float32(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a GPU does, on the CPU's bfloat16."""
    exact = _train(_opened(checkpoint).float(), tmp_path)
    monkeypatch.setattr(
        "w2stree.training.unshared.sft.training_precision",
        lambda model, lora: precision_of(model.dtype, lora=lora, bfloat16=True),
    )
    monkeypatch.setattr(precision, "best_device", lambda: "cpu")
    trained = _train(_opened(checkpoint), tmp_path)
    assert trained.model.dtype == torch.float32
    assert _share_moved(_opened(checkpoint), trained.model) > 0.99
    gain, exact_gain = _gains(checkpoint, trained, exact)
    assert gain == pytest.approx(exact_gain, rel=0.1)


def test_adapters_are_float32_over_a_bfloat16_base(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lora = Optimisation(num_epochs=6, learning_rate=1e-2, batch_size=1, lora=Lora(r=4, alpha=8))
    exact = _train(_opened(checkpoint).float(), tmp_path, lora)
    monkeypatch.setattr(
        "w2stree.training.unshared.sft.training_precision",
        lambda model, lora: precision_of(model.dtype, lora=lora, bfloat16=True),
    )
    trained = _train(_opened(checkpoint), tmp_path, lora)
    assert trained.model.dtype == torch.bfloat16, "merged into what it was"
    gain, exact_gain = _gains(checkpoint, trained, exact)
    assert gain == pytest.approx(exact_gain, rel=0.1)
    assert exact_gain > 0.05


def test_adapters_stay_float32_beside_a_reference_that_is_the_start(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (dpo, scoring):
        monkeypatch.setattr(
            module,
            "training_precision",
            lambda model, lora: precision_of(model.dtype, lora=lora, bfloat16=True),
        )
    monkeypatch.setattr(precision, "best_device", lambda: "cpu")
    trained: list[set[torch.dtype]] = []
    own = stage.train

    def watched(trainer: Any, *args: Any, **options: Any) -> TrainedWeights:
        parameters = trainer.model.parameters()
        trained.append({p.dtype for p in parameters if p.requires_grad})
        return own(trainer, *args, **options)

    monkeypatch.setattr(dpo, "train", watched)
    tokenizer = tiny_tokenizer()
    preferred = preference_rows(build_forest([GOOD, BAD]).pairs(), "suffix")
    rows = tokenize_preferences(preferred, ChatFormat(tokenizer), max_length=512)
    ((c, r),) = sequence_logprobs(_opened(checkpoint), rows, batch_size=1, lora=True)
    found = dpo.train_dpo(
        _opened(checkpoint),
        tokenizer,
        [{**rows[0], "ref_chosen_logps": c, "ref_rejected_logps": r}],
        Optimisation(num_epochs=1, learning_rate=1e-4, batch_size=1, lora=Lora(r=4, alpha=8)),
        beta=0.1,
        sft_weight=0.0,
        reference_is_start=True,
        output_dir=str(tmp_path),
        seed=0,
    )
    assert trained == [{torch.float32}]
    assert found.steps[0]["loss"] == pytest.approx(math.log(2), abs=1e-4)


def test_what_was_trained_whole_is_saved_and_opened_as_float32(
    checkpoint: Path, tmp_path: Path
) -> None:
    """Rounding to the checkpoint's precision would undo small updates, and what is evaluated is
    what is saved."""
    trained = _train(_opened(checkpoint), tmp_path)
    save_model(tmp_path / "trained", trained.model, tiny_tokenizer())
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "trained", dtype="auto")
    assert again.dtype == torch.float32
    state = trained.model.state_dict()
    assert all(torch.equal(again.state_dict()[name], state[name]) for name in state)
