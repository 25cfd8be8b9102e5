"""`model: base` in a run: the weak model plays as it was before its fine-tuning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("trl")
pytest.importorskip("pydantic")

import torch
from support.tiny_models import GOOD, tiny_model, tiny_tokenizer

from w2stree.experiment.config import load_config
from w2stree.experiment.stage_graph import stages
from w2stree.experiment.stages.context import Context
from w2stree.experiment.stages.players import Players
from w2stree.experiment.stages.untrained import untrained_model
from w2stree.policies.protocol import Episode, ModelName, Sampling
from w2stree.training.models import save_model

pytestmark = pytest.mark.train
SAMPLINGS = "explore.samplings=[{temperature: 1}, {temperature: 1, model: base}]"


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """A run whose weak model has been fine-tuned, into another one."""
    tokenizer = tiny_tokenizer()
    tokenizer.save_pretrained(tmp_path / "tokenizer" / "model")
    save_model(tmp_path / "sft_weak" / "model", tiny_model(tokenizer, seed=3), tokenizer)
    return Context(load_config("miniature", [SAMPLINGS]), tmp_path)


def weights(model: Any) -> Any:
    return torch.cat([weight.flatten() for weight in model.state_dict().values()])


def test_it_is_the_model_that_fine_tuning_starts_from(context: Context) -> None:
    first, _ = untrained_model(context, "weak", "sft_weak")
    again, _ = untrained_model(context, "weak", "sft_weak")
    assert torch.equal(weights(first), weights(again))
    other = Context(load_config("miniature", [SAMPLINGS, "seed=1"]), context.run_dir)
    assert not torch.equal(weights(first), weights(untrained_model(other, "weak", "sft_weak")[0]))


def test_a_directory_is_its_own_base(context: Context) -> None:
    path = context.model_dir("sft_weak")
    overrides = [SAMPLINGS, f"weak={{path: {path}, sft: {{num_epochs: 1, learning_rate: 1}}}}"]
    from_path = Context(load_config("miniature", overrides), context.run_dir)
    model, _ = untrained_model(from_path, "weak", "sft_weak")
    assert torch.equal(weights(model), weights(tiny_model(tiny_tokenizer(), seed=3)))
    explore = next(spec for spec, _ in stages(from_path) if spec.name == "explore")
    assert explore.external == (path,), "another directory makes another exploration"


def test_each_sampling_asks_its_own_model(context: Context) -> None:
    weak = Players(context)
    assert weak.of("weak", "base") is weak.of("weak", "base") is not weak.of("weak", "tuned")

    def turn(name: ModelName) -> Any:
        episode = Episode(0, GOOD.prompt, Sampling(), np.random.default_rng(0), ["take", "eat"])
        return weak.of("weak", name).act([episode])[0]

    assert turn("base") != turn("tuned")
    assert weak.num_generated_tokens == sum(
        weak.of("weak", name).num_generated_tokens for name in ("base", "tuned")
    )


def test_the_stage_reads_what_it_plays_with(context: Context) -> None:
    def needs(*overrides: str) -> tuple[str, ...]:
        listed = stages(Context(load_config("miniature", overrides), context.run_dir))
        return next(spec.needs for spec, _ in listed if spec.name == "explore")

    assert needs(SAMPLINGS) == ("tasks", "sft_weak", "tokenizer")
    assert needs() == ("tasks", "sft_weak")
