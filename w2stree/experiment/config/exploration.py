"""The configuration of `w2stree explore`: tasks × sampling configurations, and how to play them."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from w2stree.experiment.config.environment import EnvironmentSection
from w2stree.experiment.config.policy import PolicySection, decoded_for
from w2stree.experiment.config.sampling import Samplings
from w2stree.experiment.listed_actions import unlisted
from w2stree.experiment.section import Positive, Section, Whole
from w2stree.forest.merging import Merging
from w2stree.rollouts.branching import Criterion
from w2stree.rollouts.exploration import Budget


class ExploredTasksSection(Section):
    """`count` tasks of a split, drawn by `seed`, the environment's types of tasks by turns.

    No two open alike (`TaskChoice`), but with `distinct: false`, where ids tell tasks apart.
    """

    split: Literal["train", "dev", "test"] = "train"
    count: Positive
    seed: Whole = 0
    distinct: bool = True


class BranchingSection(Section):
    """More episodes of each task from nodes of its tree; see `w2stree.rollouts.branching`."""

    episodes_per_task: Positive
    criterion: Criterion = "return_variance"


class ExplorationConfig(Section):
    """A whole exploration. `samplings` is a list, or `paper` for the authors' six."""

    shipped_in: ClassVar[str] = "configs/explorations"

    name: str
    seed: Whole = 0
    environment: EnvironmentSection
    tasks: ExploredTasksSection
    instruction: str = ""
    policy: PolicySection
    samplings: Samplings
    max_attempts: Positive = 3
    success_threshold: Annotated[float, Field(gt=0, le=1)] = 1.0
    budget: Budget = Budget()
    branching: BranchingSection | None = None
    merge: Merging = Merging()  # of the trees that branching looks at

    @field_validator("policy", mode="before")
    @classmethod
    def _decodes_as_the_environment_allows(cls, given: Any, info: ValidationInfo) -> Any:
        environment = info.data.get("environment")
        return given if environment is None else decoded_for(environment, given)

    @model_validator(mode="after")
    def _has_base_model(self) -> ExplorationConfig:
        # It would fail only after hours of play.
        is_asked_for = any(sampling.model == "base" for sampling in self.samplings)
        if is_asked_for and not self.policy.has_base_model:
            raise ValueError("a sampling asks for the base model: set policy.base_model")
        return self

    @model_validator(mode="after")
    def _has_actions_to_choose_from(self) -> ExplorationConfig:
        if self.policy.chooser and not self.environment.lists_actions:
            raise ValueError(
                f"{unlisted(self.environment, self.policy.chooser)}, or another policy or decoding"
            )
        return self

    @model_validator(mode="after")
    def _can_count_its_tokens(self) -> ExplorationConfig:
        if self.budget.tokens is not None and not self.policy.has_token_ids:
            raise ValueError(
                f"budget.tokens counts token ids, and turns of policy: {self.policy.name} have "
                "none here: set policy.tokenizer (a vLLM server), or budget.episodes"
            )
        return self

    @model_validator(mode="after")
    def _can_branch(self) -> ExplorationConfig:
        if self.branching and not any(s.temperature > 0 for s in self.samplings):
            raise ValueError("branching needs a sampling with a temperature above 0")
        return self
