"""Models in a configuration: where they come from and how they are trained."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from w2stree.environments.options import TextWorldExpressOptions
from w2stree.experiment.config.policy import ServedSection
from w2stree.experiment.section import NameOrFile, Positive, Section, UserPath
from w2stree.training.models import Architecture
from w2stree.training.optimisation import Optimisation
from w2stree.turns.template import TemplateArgument


class TokenizerSection(Section):
    """The tokenizer of models built from an `architecture`, trained on what they may see."""

    vocab_size: Positive = 1024
    phrase_min_count: Positive = 100


class PretrainGame(Section):
    """Random play for pretraining: which TextWorldExpress game, how many of its train fold.

    Always TextWorldExpress, whatever the experiment's own environment: its games are many, small,
    and played by the thousand.
    """

    game: str
    params: dict[str, int] = Field(default_factory=dict)
    episodes: Positive

    @model_validator(mode="after")
    def _can_be_played(self) -> PretrainGame:
        self.options().refuse_too_many(self.episodes)
        return self

    def options(self, max_steps: int = 1) -> TextWorldExpressOptions:
        """Four processes: with no model to batch for they keep two cores busy, and start fast."""
        return TextWorldExpressOptions(
            game=self.game, params=self.params, max_steps=max_steps, num_processes=4
        )


class PretrainSection(Section):
    """Reward-free: next-token prediction on transcripts of random play."""

    games: Annotated[tuple[PretrainGame, ...], Field(min_length=1)]
    max_steps: Positive = 20
    optimisation: Optimisation


class ModelSection(Section):
    """A causal LM directory (`path`) or a small decoder from a configuration (`architecture`).

    `chat_template` (a name or a file) replaces the one in the directory, `template_arguments` set
    its variables, as `{enable_thinking: false}`; see docs/models.md. With `served` the model plays
    through a vLLM server that serves `path`; whatever the run trains of it are adapters that are
    not merged (`lora: {merge: false}`), which the server is told to load.
    """

    path: UserPath | None = None
    architecture: Architecture | None = None
    chat_template: NameOrFile | None = None
    template_arguments: dict[str, TemplateArgument] = Field(default_factory=dict)
    sft: Optimisation
    served: ServedSection | None = None

    @model_validator(mode="after")
    def _one_source(self) -> ModelSection:
        if (self.path is None) == (self.architecture is None):
            raise ValueError("give exactly one of path and architecture")
        if self.path is None and (self.chat_template or self.template_arguments):
            raise ValueError(
                "chat_template and template_arguments are for a model of a directory (path); a "
                "decoder built here has the tokenizer of the run, and its template"
            )
        if self.path is None and self.served is not None:
            raise ValueError("served is for a model of a directory (path), which the server serves")
        return self


class StrongSection(ModelSection):
    """The strong model may have latent ability to elicit: reward-free pretraining."""

    pretrain: PretrainSection | None = None
