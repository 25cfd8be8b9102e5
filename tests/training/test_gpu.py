"""On a GPU: bfloat16 products over float32 weights, models and rows on one device.

    pytest -m gpu

The other tests run on the CPU, where results are equal to many digits.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("trl")

import torch
from support.tiny_models import BAD, GOOD, WORSE, tiny_model, tiny_tokenizer

from w2stree.forest.build import build_forest
from w2stree.policies.protocol import Episode, Sampling
from w2stree.policies.sampling import Sampler
from w2stree.policies.transformers import TransformersPolicy
from w2stree.rows.rows import preference_rows
from w2stree.rows.tokenized import tokenize_preferences, tokenize_sft
from w2stree.training.models import load_model, save_model
from w2stree.training.optimisation import Lora, Optimisation
from w2stree.training.unshared.dpo import train_dpo
from w2stree.training.unshared.scoring import sequence_logprobs
from w2stree.training.unshared.sft import train_sft
from w2stree.trajectories.trajectory import Message, Step
from w2stree.turns.chat import ChatFormat
from w2stree.turns.decoding import Decoding

pytestmark = [
    pytest.mark.train,
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"),
]


@pytest.mark.parametrize("lora", [None, Lora(r=4, alpha=8)])
def test_sft_learns(tmp_path: Path, lora: Lora | None) -> None:
    tokenizer = tiny_tokenizer()
    save_model(tmp_path / "checkpoint", tiny_model(tokenizer).bfloat16(), tokenizer)
    model, _ = load_model(tmp_path / "checkpoint")
    rows = tokenize_sft([GOOD, BAD, WORSE], ChatFormat(tokenizer), max_length=512).rows
    optimisation = Optimisation(num_epochs=20, learning_rate=1e-2, batch_size=3, lora=lora)
    trained = train_sft(
        model.train(), tokenizer, rows, optimisation, output_dir=str(tmp_path), seed=0
    )
    assert trained.metrics["loss_after"] < trained.metrics["loss_before"] - 0.5
    assert trained.model.dtype == (torch.bfloat16 if lora else torch.float32)


@pytest.mark.parametrize("lora", [None, Lora(r=4, alpha=8)])
def test_the_reference_is_computed_as_the_policy_is(tmp_path: Path, lora: Lora | None) -> None:
    """Though its model was made on the CPU: products in float32 there would make it another."""
    tokenizer = tiny_tokenizer()
    found = preference_rows(build_forest([GOOD, BAD]).pairs(), "suffix")
    rows = tokenize_preferences(found, ChatFormat(tokenizer), max_length=512)
    ((chosen, rejected),) = sequence_logprobs(
        tiny_model(tokenizer), rows, batch_size=1, lora=lora is not None
    )
    trained = train_dpo(
        tiny_model(tokenizer),
        tokenizer,
        [{**rows[0], "ref_chosen_logps": chosen, "ref_rejected_logps": rejected}],
        Optimisation(num_epochs=4, learning_rate=1e-3, batch_size=1, lora=lora),
        beta=0.1,
        sft_weight=0.0,
        reference_is_start=True,
        output_dir=str(tmp_path),
        seed=0,
    )
    assert trained.steps[0]["loss"] == pytest.approx(math.log(2), abs=1e-4)
    assert trained.steps[-1]["loss"] < math.log(2)


def test_float32_plays_as_on_the_cpu() -> None:
    tokenizer = tiny_tokenizer()
    played = []
    for device in ("cpu", "cuda"):
        policy = TransformersPolicy(
            tiny_model(tokenizer).to(device), tokenizer, decoding=Decoding(max_new_tokens=12)
        )
        episodes = [_episode(key) for key in range(3)]
        for _ in range(3):
            for episode, turn in zip(episodes, policy.act(episodes), strict=True):
                episode.steps.append(Step("wait", "Time passes.", turn.response, turn.token_ids))
        played.append([step.token_ids for episode in episodes for step in episode.steps])
    assert played[0] == played[1]


def test_samples_are_those_of_the_cpu() -> None:
    logits = 3 * torch.randn((8, 50_000), generator=torch.Generator().manual_seed(0))
    allowed: list[Any] = [None] * 6 + [np.array([3, 70, 4_000])] * 2
    chosen = [
        [token for token, _ in Sampler().sample(logits.to(device), allowed, _episodes())]
        for device in ("cpu", "cuda")
    ]
    assert chosen[0] == chosen[1]


def _episodes() -> list[Episode]:
    return [_episode(key) for key in range(8)]


def _episode(key: int) -> Episode:
    prompt = (Message("user", "Cook. " * (key + 1)),)
    sampling = Sampling(temperature=0.8 if key % 2 else 0.0, top_p=0.9)
    return Episode(key, prompt, sampling, np.random.default_rng(key), ["wait", "look"])
