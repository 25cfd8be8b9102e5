"""The policy of a configuration: which one, its model, how its turns are decoded.

A policy is one model; `Sampling.model` says of each episode which one plays it: `tuned`, or the
`base` it was tuned from.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import Field

from w2stree.errors import InvalidInput
from w2stree.experiment.config.section import Fraction, Positive, Section
from w2stree.policies.protocol import AsyncPolicy, ModelName, Policy
from w2stree.policies.random import RandomPolicy

T = TypeVar("T")


class SamplingSection(Section):
    temperature: Annotated[float, Field(ge=0)]
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0


class DecodingSection(Section):
    """How turns are decoded, the same for every model of a run.

    `max_new_tokens` bounds what is said freely: the whole turn, or its thought.
    """

    actions: Literal["admissible", "free"] = "admissible"
    max_new_tokens: Positive = 64


class TransformersSection(Section):
    """A model directory, in process."""

    name: Literal["transformers"]
    model: Path
    base_model: Path | None = None
    decoding: DecodingSection = DecodingSection()
    thought: bool = True

    def policy(self, model: ModelName) -> Policy:
        from w2stree.policies.transformers import TransformersPolicy
        from w2stree.training.models import load_model

        return TransformersPolicy(
            *load_model(_which(model, self.model, self.base_model)),
            decoding=self.decoding.actions,
            has_thought=self.thought,
            max_new_tokens=self.decoding.max_new_tokens,
        )


class OpenAISection(Section):
    """An OpenAI-compatible server; `model` and `base_model` are names of models or adapters there.

    `tokenizer`: the directory of the served models' tokenizer; with it, vLLM is sent token ids.
    `api_key_env` names the environment variable with the key, where the server wants one.
    """

    name: Literal["openai"]
    base_url: str = "http://localhost:8000/v1"
    model: str
    base_model: str | None = None
    api_key_env: str | None = None
    tokenizer: Path | None = None
    timeout_s: Annotated[float, Field(gt=0)] = 120.0
    max_retries: Annotated[int, Field(ge=0)] = 5
    decoding: DecodingSection = DecodingSection(actions="free", max_new_tokens=256)
    thought: bool = True

    def policy(self, model: ModelName) -> AsyncPolicy:
        from w2stree.policies.openai import OpenAIPolicy

        return OpenAIPolicy(
            _which(model, self.model, self.base_model),
            base_url=self.base_url,
            api_key_env=self.api_key_env,
            tokenizer=None if self.tokenizer is None else _tokenizer(self.tokenizer),
            decoding=self.decoding.actions,
            has_thought=self.thought,
            max_new_tokens=self.decoding.max_new_tokens,
            timeout_s=self.timeout_s,
            max_retries=self.max_retries,
        )


class VllmSection(Section):
    """A model directory with vLLM in process; see `VllmPolicy`."""

    name: Literal["vllm"]
    model: Path
    base_model: Path | None = None
    max_length: Positive | None = None
    memory_fraction: Annotated[Fraction, Field(gt=0)] = 0.9
    decoding: DecodingSection = DecodingSection()
    thought: bool = True

    def policy(self, model: ModelName) -> Policy:
        from w2stree.policies.vllm import VllmPolicy

        return VllmPolicy(
            _which(model, self.model, self.base_model),
            decoding=self.decoding.actions,
            has_thought=self.thought,
            max_new_tokens=self.decoding.max_new_tokens,
            max_length=self.max_length,
            memory_fraction=self.memory_fraction,
        )


class RandomSection(Section):
    """Random admissible actions; see `RandomPolicy`."""

    name: Literal["random"]
    by_verb: bool = False

    def policy(self, model: ModelName) -> Policy:
        return RandomPolicy(by_verb=self.by_verb)


class ExpertSection(Section):
    """The environment's own solution, with noise; see `ExpertPolicy`."""

    name: Literal["expert"]
    noise: Fraction = 0.0

    def policy(self, model: ModelName) -> Policy:
        from w2stree.policies.expert import ExpertPolicy

        return ExpertPolicy(noise=self.noise)


PolicySection = Annotated[
    TransformersSection | OpenAISection | VllmSection | RandomSection | ExpertSection,
    Field(discriminator="name"),
]


def _which(model: ModelName, tuned: T, base: T | None) -> T:
    if model == "tuned":
        return tuned
    if base is None:
        raise InvalidInput("a sampling asks for the base model: set policy.base_model")
    return base


def _tokenizer(path: Path) -> object:
    from transformers import AutoTokenizer

    if not (path / "tokenizer_config.json").is_file():
        raise InvalidInput(f"policy.tokenizer: {path} has no tokenizer_config.json")
    return AutoTokenizer.from_pretrained(path, local_files_only=True)
