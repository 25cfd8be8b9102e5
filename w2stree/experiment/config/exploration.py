"""The configuration of `w2stree explore`: tasks × sampling configurations, and how to play them."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from w2stree.experiment.config.environment import EnvironmentSection
from w2stree.experiment.config.policy import PolicySection, SamplingSection
from w2stree.experiment.config.section import Positive, Section
from w2stree.forest.merging import Merging
from w2stree.policies.protocol import ModelName, Sampling
from w2stree.rollouts.branching import Criterion
from w2stree.rollouts.exploration import PAPER_SAMPLINGS, Budget


class ExploredTasksSection(Section):
    """`count` tasks of a split, from the `first` on."""

    split: Literal["train", "dev", "test"] = "train"
    first: Annotated[int, Field(ge=0)] = 0
    count: Positive


class ExploredSamplingSection(SamplingSection):
    model: ModelName = "tuned"

    def sampling(self) -> Sampling:
        return Sampling(self.temperature, self.top_p, self.model)


class BudgetSection(Section):
    """What is absent is no limit; see `w2stree.rollouts.exploration.Budget`."""

    episodes: Positive | None = None
    tokens: Positive | None = None
    wall_seconds: Annotated[float, Field(gt=0)] | None = None

    def budget(self) -> Budget:
        return Budget(self.episodes, self.tokens, self.wall_seconds)


class BranchingSection(Section):
    """More episodes of each task from nodes of its tree; see `w2stree.rollouts.branching`."""

    episodes_per_task: Positive
    criterion: Criterion = "return_variance"


class ExplorationConfig(Section):
    """A whole exploration. `samplings` is a list, or `paper` for the authors' six."""

    shipped_in: ClassVar[str] = "configs/explorations"

    name: str
    seed: Annotated[int, Field(ge=0)] = 0
    environment: EnvironmentSection
    tasks: ExploredTasksSection
    instruction: str = ""
    policy: PolicySection
    samplings: Annotated[tuple[ExploredSamplingSection, ...], Field(min_length=1)]
    max_attempts: Positive = 3
    success_threshold: Annotated[float, Field(gt=0, le=1)] = 1.0
    budget: BudgetSection = BudgetSection()
    branching: BranchingSection | None = None
    merge: Merging = Merging()  # of the trees that branching looks at

    @field_validator("samplings", mode="before")
    @classmethod
    def _preset(cls, value: Any) -> Any:
        if value != "paper":
            return value
        return [
            {"temperature": s.temperature, "top_p": s.top_p, "model": s.model}
            for s in PAPER_SAMPLINGS
        ]

    @model_validator(mode="after")
    def _has_base_model(self) -> ExplorationConfig:
        # Policies of one model for all have no such key; it would fail only after hours of play.
        is_missing = getattr(self.policy, "base_model", "") is None
        if is_missing and any(s.model == "base" for s in self.samplings):
            raise ValueError("a sampling asks for the base model: set policy.base_model")
        return self

    @model_validator(mode="after")
    def _can_branch(self) -> ExplorationConfig:
        if self.branching and not any(s.temperature > 0 for s in self.samplings):
            raise ValueError("branching needs a sampling with a temperature above 0")
        return self
