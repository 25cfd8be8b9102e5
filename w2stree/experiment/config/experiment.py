"""The experiment's configuration: one YAML file, every key known, every value checked."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from w2stree.experiment.config.environment import EnvironmentSection
from w2stree.experiment.config.model import (
    ModelSection,
    OptimisationSection,
    StrongSection,
    TokenizerSection,
)
from w2stree.experiment.config.policy import DecodingSection, SamplingSection
from w2stree.experiment.config.section import Fraction, Positive, Section
from w2stree.forest.merging import Merging


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
    merge: Merging = Merging()
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
