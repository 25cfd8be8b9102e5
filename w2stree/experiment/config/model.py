"""Models in a configuration: where they come from and how they are trained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from w2stree.experiment.config.section import Fraction, Positive, Section


class LoraSection(Section):
    r: Positive = 64
    alpha: Positive = 128
    target_modules: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj")


class OptimisationSection(Section):
    """AdamW on one training stage; `lora` absent means all weights are trained."""

    num_epochs: Annotated[float, Field(gt=0)]
    learning_rate: Annotated[float, Field(gt=0)]
    batch_size: Positive = 8
    warmup_ratio: Fraction = 0.05
    scheduler: Literal["constant_with_warmup", "cosine", "linear"] = "cosine"
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    lora: LoraSection | None = None


class ArchitectureSection(Section):
    hidden_size: Positive
    num_layers: Positive
    num_heads: Positive
    intermediate_size: Positive
    max_length: Positive = 2048

    @model_validator(mode="after")
    def _heads_divide(self) -> ArchitectureSection:
        if self.hidden_size % (2 * self.num_heads):
            raise ValueError("hidden_size must be an even multiple of num_heads")
        return self


class TokenizerSection(Section):
    """The tokenizer of models built from an `architecture`, trained on what they may see."""

    vocab_size: Positive = 1024
    phrase_min_count: Positive = 100


class PretrainGame(Section):
    """Random play for pretraining: which game, how many seeds of its train fold."""

    game: str
    params: dict[str, int] = Field(default_factory=dict)
    episodes: Positive


class PretrainSection(Section):
    """Reward-free: next-token prediction on transcripts of random play."""

    games: Annotated[tuple[PretrainGame, ...], Field(min_length=1)]
    max_steps: Positive = 20
    optimisation: OptimisationSection


class ModelSection(Section):
    """A causal LM directory (`path`) or a small decoder from a configuration (`architecture`)."""

    path: Path | None = None
    architecture: ArchitectureSection | None = None
    sft: OptimisationSection

    @model_validator(mode="after")
    def _one_source(self) -> ModelSection:
        if (self.path is None) == (self.architecture is None):
            raise ValueError("give exactly one of path and architecture")
        return self


class StrongSection(ModelSection):
    """The strong model may have latent ability to elicit: reward-free pretraining."""

    pretrain: PretrainSection | None = None
