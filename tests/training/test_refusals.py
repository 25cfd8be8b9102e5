"""What goes wrong inside torch, PEFT or TRL is told by the setting that mends it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

import torch
from support.tiny_models import GOOD, tiny_model, tiny_tokenizer
from transformers import GPT2Config, GPT2LMHeadModel, TrainingArguments

from w2stree.errors import InvalidInput, ModelFailure
from w2stree.rows.tokenized import tokenize_sft
from w2stree.training.optimisation import Lora, Optimisation
from w2stree.training.stage import TrainedWeights
from w2stree.training.unshared.dpo import train_dpo
from w2stree.training.unshared.scoring import sequence_logprobs
from w2stree.training.unshared.sft import train_sft
from w2stree.turns.chat import ChatFormat

pytestmark = pytest.mark.train
Train = Callable[..., TrainedWeights]


@pytest.fixture
def train(tmp_path: Path) -> Train:
    tokenizer = tiny_tokenizer()
    rows = tokenize_sft([GOOD], ChatFormat(tokenizer), max_length=512).rows

    def run(model: Any = None, **options: Any) -> TrainedWeights:
        model = tiny_model(tokenizer) if model is None else model
        settings = {"num_epochs": 2, "learning_rate": 1e-3, "batch_size": 2, **options}
        return train_sft(
            model, tokenizer, rows, Optimisation(**settings), output_dir=str(tmp_path), seed=0
        )

    return run


def gpt2(num_positions: int = 512) -> Any:
    config = GPT2Config(
        vocab_size=len(tiny_tokenizer()), n_embd=32, n_layer=1, n_head=2, n_positions=num_positions
    )
    return GPT2LMHeadModel(config)


def test_adapters_of_layers_that_are_not_there(train: Train) -> None:
    with pytest.raises(InvalidInput, match=r"lora.target_modules.*has c_attn, c_proj, c_fc"):
        train(gpt2(), lora=Lora())
    train(gpt2(), lora=Lora(target_modules="all-linear", dropout=0.1))


def test_rows_beyond_the_positions(train: Train) -> None:
    with pytest.raises(InvalidInput, match=r"rows\[0\] has \d+ tokens, the model 16 positions"):
        train(gpt2(16))


def test_memory_that_does_not_hold_a_batch(train: Train) -> None:
    model = tiny_model(tiny_tokenizer())
    own = model.model.forward

    def forward(*args: Any, **kwargs: Any) -> Any:
        output = own(*args, **kwargs)
        if output.last_hidden_state.shape[1] > 16:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB\nmore")
        return output

    model.model.forward = forward
    told = (
        r"does not hold 2 rows of up to \d+ tokens: set .*micro_batch_size.*allocate 20.00 GiB\)$"
    )
    with pytest.raises(InvalidInput, match=told):
        train(model)
    row = {
        "prompt_ids": [5] * 20,
        **{f"{side}_{what}": [1] for side in ("chosen", "rejected") for what in ("ids", "mask")},
    }
    with pytest.raises(InvalidInput, match=r"does not hold 2 rows of up to 21 tokens"):
        sequence_logprobs(model, [row, row], batch_size=2)


def test_a_loss_that_is_no_number(train: Train) -> None:
    with pytest.raises(ModelFailure, match=r"the loss of step \d+ is (nan|inf): lower"):
        train(learning_rate=1e30, num_epochs=8)


def test_several_gpus_are_one(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where two are seen: TrainingArguments then says so."""
    setup = TrainingArguments._setup_devices.func

    def with_two(arguments: TrainingArguments) -> Any:
        device = setup(arguments)
        arguments._n_gpu = 2
        return device

    monkeypatch.setattr(TrainingArguments._setup_devices, "func", with_two)
    assert TrainingArguments(use_cpu=True, report_to=[]).n_gpu == 2
    train()  # TRL would refuse


def test_a_launcher_of_several_processes(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InvalidInput, match=r"started 2 processes.*without a launcher"):
        train()
    monkeypatch.setenv("WORLD_SIZE", "1")
    train()


def test_dropout_beside_a_reference(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    row = {
        "prompt_ids": [5],
        **{f"{side}_{what}": [1] for side in ("chosen", "rejected") for what in ("ids", "mask")},
    }
    with pytest.raises(InvalidInput, match=r"lora.dropout: DPO compares with a reference without"):
        train_dpo(
            tiny_model(tokenizer),
            tokenizer,
            [row],
            Optimisation(num_epochs=1, learning_rate=1e-3, lora=Lora(dropout=0.1)),
            beta=0.1,
            sft_weight=0.0,
            reference_is_start=True,
            output_dir=str(tmp_path),
            seed=0,
        )
