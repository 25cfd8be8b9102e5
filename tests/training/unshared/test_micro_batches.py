"""A step in micro-batches is the whole batch's step."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

import torch
from support.tiny_models import BAD, GOOD, WORSE, tiny_model, tiny_tokenizer

from w2stree.errors import InvalidInput
from w2stree.forest.build import build_forest
from w2stree.rows.rows import preference_rows
from w2stree.rows.tokenized import tokenize_preferences, tokenize_sft
from w2stree.training.optimisation import Optimisation
from w2stree.training.stage import TrainedWeights
from w2stree.training.unshared.dpo import train_dpo
from w2stree.training.unshared.scoring import sequence_logprobs
from w2stree.training.unshared.sft import train_sft
from w2stree.turns.chat import ChatFormat

pytestmark = pytest.mark.train
# Seven rows: the last step of an epoch has three, the last micro-batch of those one.
WHOLE = Optimisation(num_epochs=2, learning_rate=1e-3, batch_size=4, warmup_ratio=0.0)


def sft(optimisation: Optimisation, folder: Path) -> TrainedWeights:
    tokenizer = tiny_tokenizer()
    played = [GOOD, BAD, WORSE, GOOD, WORSE, BAD, GOOD]
    rows = tokenize_sft(played, ChatFormat(tokenizer), max_length=512).rows
    model = tiny_model(tokenizer)
    return train_sft(model, tokenizer, rows, optimisation, output_dir=str(folder), seed=1)


def dpo(optimisation: Optimisation, folder: Path) -> TrainedWeights:
    tokenizer = tiny_tokenizer()
    found = preference_rows(build_forest([GOOD, BAD, WORSE]).pairs(), "suffix")
    tokenized = tokenize_preferences(found, ChatFormat(tokenizer), max_length=512)
    rows = [row for row in [*tokenized, *tokenized, tokenized[0]] if row is not None]
    assert len(rows) == 7
    logprobs = sequence_logprobs(tiny_model(tokenizer, seed=1), rows, batch_size=4)
    scored: list[dict[str, Any]] = [
        {**row, "ref_chosen_logps": c, "ref_rejected_logps": r}
        for row, (c, r) in zip(rows, logprobs, strict=True)
    ]
    return train_dpo(
        tiny_model(tokenizer),
        tokenizer,
        scored,
        optimisation,
        beta=0.5,
        sft_weight=1.0,
        reference_is_start=False,
        output_dir=str(folder),
        seed=1,
    )


@pytest.mark.parametrize("method", [sft, dpo])
def test_micro_batches_change_nothing_but_memory(method: Any, tmp_path: Path) -> None:
    whole = method(WHOLE, tmp_path)
    parts = method(replace(WHOLE, micro_batch_size=2), tmp_path)
    assert len(whole.steps) == len(parts.steps) == 4
    for one, other in zip(whole.steps, parts.steps, strict=True):
        assert other["loss"] == pytest.approx(one["loss"], rel=1e-5)
        assert other["grad_norm"] == pytest.approx(one["grad_norm"], rel=1e-4)
    state = whole.model.state_dict()
    for name, weight in parts.model.state_dict().items():
        torch.testing.assert_close(weight, state[name], atol=2e-5, rtol=0)


def test_gradients_are_clipped_where_asked(tmp_path: Path) -> None:
    """The first step of AdamW does not see the gradients' length; the second one does."""
    free = sft(replace(WHOLE, max_grad_norm=1e9), tmp_path)
    clipped = sft(replace(WHOLE, max_grad_norm=1e-9), tmp_path)
    assert free.steps[0]["grad_norm"] == clipped.steps[0]["grad_norm"] > 1.0
    assert clipped.steps[-1]["loss"] != pytest.approx(free.steps[-1]["loss"], rel=1e-3)


def test_a_micro_batch_divides_the_batch() -> None:
    for size in (0, 3, 8):
        with pytest.raises(InvalidInput, match="give a divisor of batch_size"):
            replace(WHOLE, micro_batch_size=size)
