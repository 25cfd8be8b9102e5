"""The experiment's configuration: one YAML file, every key known, every value checked."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from w2stree.errors import InvalidInput

Positive = Annotated[int, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]


class Section(BaseModel):
    """A part of the file: unknown keys are refused, values cannot change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class EnvironmentSection(Section):
    """The text environment, and how many of it run side by side (a process each)."""

    name: Literal["textworld_express"] = "textworld_express"
    game: str
    params: dict[str, int] = {}
    max_steps: Positive = 50
    num_processes: Positive = 16


class TasksSection(Section):
    """How many tasks each part uses; no two parts share a task.

    Demonstrations and exploration take the train fold from its start. The test tasks are
    `test_split`'s from `test_offset` on; of the train fold they test new tasks of known things.
    """

    demonstrations: Positive
    explore: Positive
    test: Positive
    test_split: Literal["train", "dev", "test"] = "test"
    test_offset: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _disjoint(self) -> TasksSection:
        num_train = self.demonstrations + self.explore
        if self.test_split == "train" and self.test_offset < num_train:
            raise ValueError(
                f"test_offset is {self.test_offset}, but demonstrations and explore use the train "
                f"fold's first {num_train} tasks"
            )
        return self


class PromptSection(Section):
    """The episode's opening, and whether a turn has a thought before its action."""

    instruction: str = ""
    thought: bool = True


class DecodingSection(Section):
    """How turns are decoded, the same for every model of a run.

    `max_new_tokens` bounds what is said freely: the whole turn, or its thought.
    """

    actions: Literal["admissible", "free"] = "admissible"
    max_new_tokens: Positive = 64


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
    params: dict[str, int] = {}
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


class SamplingSection(Section):
    temperature: Annotated[float, Field(ge=0)]
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0


class ExploreSection(Section):
    """One trajectory of each task for each sampling configuration (M of them)."""

    samplings: Annotated[tuple[SamplingSection, ...], Field(min_length=2)]


class SearchSection(Section):
    """Offline UCB search (Eq. 7)."""

    num_simulations: Positive = 1000
    exploration: Annotated[float, Field(ge=0)] = 1.41
    stop_arm: bool = True


class TreeDpoSection(Section):
    """TreeDPO (Eq. 6), from the strong SFT model."""

    completion: Literal["step", "suffix"] = "step"
    min_gap: Annotated[float, Field(ge=0)] = 0.0
    max_rows: Positive | None = None
    beta: Annotated[float, Field(gt=0)] = 0.1
    reference: Literal["weak", "start"] = "weak"
    sft_weight: Annotated[float, Field(ge=0)] = 0.0
    optimisation: OptimisationSection


class MctsSftSection(Section):
    """MCTS-SFT, from the strong SFT model: best paths, with the demonstrations or without."""

    min_return: Fraction = 0.0
    with_demonstrations: bool = True
    optimisation: OptimisationSection


class CeilingSection(Section):
    """The strong model trained on expert demonstrations of the explored tasks too."""

    optimisation: OptimisationSection


class EvaluateSection(Section):
    success_threshold: Annotated[float, Field(gt=0, le=1)] = 1.0
    num_bootstrap: Positive = 10_000


class Config(Section):
    """A whole experiment."""

    name: str
    seed: Annotated[int, Field(ge=0)] = 0
    num_threads: Positive = 2
    max_length: Positive = 2048
    tokenizer: TokenizerSection = TokenizerSection()
    environment: EnvironmentSection
    tasks: TasksSection
    prompt: PromptSection = PromptSection()
    decoding: DecodingSection = DecodingSection()
    weak: ModelSection
    strong: StrongSection
    explore: ExploreSection
    search: SearchSection = SearchSection()
    tree_dpo: TreeDpoSection
    mcts_sft: MctsSftSection
    ceiling: CeilingSection
    evaluate: EvaluateSection = EvaluateSection()

    @model_validator(mode="after")
    def _coherent(self) -> Config:
        for role in ("weak", "strong"):
            section: ModelSection = getattr(self, role)
            if section.architecture and section.architecture.max_length < self.max_length:
                raise ValueError(
                    f"{role}.architecture.max_length is below max_length ({self.max_length})"
                )
        return self


def shipped_configs() -> list[str]:
    """Names of the configurations that come with the package."""
    folder = resources.files("w2stree") / "configs"
    return sorted(
        f.name.removesuffix(".yaml") for f in folder.iterdir() if f.name.endswith(".yaml")
    )


def load_config(source: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Read a YAML file or a shipped configuration by name, then apply `key.path=value`s.

    Raises `InvalidInput` naming the file, the key and what it should be.
    """
    file = _locate(source)
    try:
        record = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise InvalidInput(f"{source}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(record, dict):
        raise InvalidInput(f"{source}: expected keys and values, found {type(record).__name__}")
    for override in overrides:
        _apply(record, override)
    try:
        return Config.model_validate(record)
    except ValidationError as error:
        lines = [f"{source}: {_key(e['loc'])}: {e['msg']}" for e in error.errors()]
        raise InvalidInput("\n".join(lines)) from None


def _locate(source: str | Path) -> Path:
    if Path(source).is_file():
        return Path(source)
    with resources.as_file(resources.files("w2stree") / "configs" / f"{source}.yaml") as shipped:
        if shipped.is_file():
            return shipped
    raise InvalidInput(
        f"{source}: no such file, and no shipped configuration of that name "
        f"({', '.join(shipped_configs())})"
    )


def _apply(record: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    if not equals or not key:
        raise InvalidInput(f"override {override!r}: write key.path=value")
    *parents, last = key.split(".")
    for parent in parents:
        record = record.setdefault(parent, {})
        if not isinstance(record, dict):
            raise InvalidInput(f"override {override!r}: {parent!r} is a value, not a section")
    try:
        record[last] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise InvalidInput(f"override {override!r}: not a YAML value: {error}") from None


def _key(location: Sequence[int | str]) -> str:
    return ".".join(str(part) for part in location) or "the file"
