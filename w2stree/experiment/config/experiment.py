"""The experiment's configuration: one YAML file, every key known, every value checked."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from w2stree.experiment.config.environment import EnvironmentSection
from w2stree.experiment.config.model import (
    ModelSection,
    StrongSection,
    TokenizerSection,
)
from w2stree.experiment.config.sampling import Samplings
from w2stree.experiment.config.section import Fraction, Positive, Section, laid_over
from w2stree.training.optimisation import Optimisation
from w2stree.turns.decoding import Decoding


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
    """The episode's opening."""

    instruction: str = ""


class ExploreSection(Section):
    """One trajectory of each task for each sampling configuration (M of them)."""

    samplings: Annotated[Samplings, Field(min_length=2)]


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
    optimisation: Optimisation


class MctsSftSection(Section):
    """MCTS-SFT, from the strong SFT model: best paths, with the demonstrations or without."""

    min_return: Fraction = 0.0
    with_demonstrations: bool = True
    optimisation: Optimisation


class CeilingSection(Section):
    """The strong model trained on expert demonstrations of the explored tasks too."""

    optimisation: Optimisation


class EvaluateSection(Section):
    success_threshold: Annotated[float, Field(gt=0, le=1)] = 1.0
    num_bootstrap: Positive = 10_000


class Config(Section):
    """A whole experiment. What `decoding` leaves out is the environment's."""

    name: str
    seed: Annotated[int, Field(ge=0)] = 0
    num_threads: Positive = 2
    max_length: Positive = 2048
    tokenizer: TokenizerSection = TokenizerSection()
    environment: EnvironmentSection
    tasks: TasksSection
    prompt: PromptSection = PromptSection()
    decoding: Decoding = Field(default={}, validate_default=True)
    weak: ModelSection
    strong: StrongSection
    explore: ExploreSection
    search: SearchSection = SearchSection()
    tree_dpo: TreeDpoSection
    mcts_sft: MctsSftSection
    ceiling: CeilingSection
    evaluate: EvaluateSection = EvaluateSection()

    @field_validator("decoding", mode="before")
    @classmethod
    def _as_the_environment_allows(cls, given: Any, info: ValidationInfo) -> Any:
        environment = info.data.get("environment")
        return given if environment is None else laid_over(environment.decoding, given)

    @model_validator(mode="after")
    def _coherent(self) -> Config:
        for role in ("weak", "strong"):
            section: ModelSection = getattr(self, role)
            if section.architecture and section.architecture.max_length < self.max_length:
                raise ValueError(
                    f"{role}.architecture.max_length is below max_length ({self.max_length})"
                )
        return self
