"""Stages on trees: what is checked before the first step, and what is told after the last."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

from support.tiny_models import tiny_model, tiny_tokenizer
from support.tree_training import pairs, sft_examples

from w2stree.errors import InvalidInput, LikelihoodDisplaced, ModelFailure
from w2stree.training import stage
from w2stree.training.optimisation import Optimisation
from w2stree.training.stage import TrainedWeights
from w2stree.training.trees.examples import Example
from w2stree.training.trees.reference import reference_scores
from w2stree.training.trees.stage import train_dpo, train_sft

pytestmark = pytest.mark.train
HOW = Optimisation(num_epochs=1, learning_rate=1e-4, batch_size=4, micro_batch_size=2)


def _dpo(examples: list[Example], out: Path, how: Optimisation = HOW, **options: Any) -> Any:
    tokenizer = tiny_tokenizer()
    settings = {"beta": 0.1, "sft_weight": 0.0, "reference_is_start": False, **options}
    return train_dpo(
        tiny_model(tokenizer), tokenizer, examples, how, output_dir=str(out), seed=0, **settings
    )


def _with_reference(seed: int) -> list[Example]:
    model = tiny_model(tiny_tokenizer(), seed=seed)
    sequences = [s for e in pairs() for s in e.sequences]
    found = reference_scores(model, sequences, max_pack_tokens=512).reshape(-1, 2).tolist()
    return [Example(e.sequences, reference=tuple(r)) for e, r in zip(pairs(), found, strict=True)]


def test_the_first_loss_is_ln_2_where_the_reference_is_the_start(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LikelihoodDisplaced)
        trained: TrainedWeights = _dpo(_with_reference(0), tmp_path, reference_is_start=True)
    assert trained.steps[0]["loss"] == pytest.approx(0.693147, abs=1e-4)
    assert trained.metrics["num_steps"] == 3
    assert trained.metrics["shared_ratio"] > 1
    assert {"loss_before", "loss_after", "tokens_per_s", "reward_accuracy"} <= set(trained.metrics)
    with pytest.raises(InvalidInput, match="not ln 2"):
        _dpo(_with_reference(1), tmp_path, reference_is_start=True)


def test_a_chosen_side_that_loses_mass_is_told() -> None:
    with pytest.warns(LikelihoodDisplaced, match=r"-10\.00 to -12\.00 nats .*sft_weight"):
        stage.warn_of_displacement(-10.0, -12.0, term="sft_weight")
    stage.warn_of_displacement(-10.0, -9.0, term="sft_weight")
    stage.warn_of_displacement(None, None, term="sft_weight")  # SFT has no sides


def test_a_loss_that_is_no_number_ends_the_training(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    how = Optimisation(num_epochs=50, learning_rate=1e30, batch_size=4, warmup_ratio=0.0)
    with pytest.raises(ModelFailure, match="lower the learning_rate"):
        train_sft(
            tiny_model(tokenizer), tokenizer, sft_examples(), how, output_dir=str(tmp_path), seed=0
        )
