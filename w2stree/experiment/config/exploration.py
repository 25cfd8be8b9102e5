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
    """More episodes of each task from nodes of its tree; see `w2stree.rollouts.branching`.

    In `num_rounds` parts, each from nodes that are chosen by what those before it found as well.
    """

    episodes_per_task: Positive
    criterion: Criterion = "return_variance"
    num_rounds: Positive = 1

    @property
    def rounds(self) -> list[tuple[int, int]]:
        """Of each: the episodes of a task before it, and its own. The first ones have one more
        where they do not come out even."""
        least, num_larger = divmod(self.episodes_per_task, self.num_rounds)
        sizes = [least + (number < num_larger) for number in range(self.num_rounds)]
        return [(sum(sizes[:number]), size) for number, size in enumerate(sizes)]

    @model_validator(mode="after")
    def _has_an_episode_a_round(self) -> BranchingSection:
        if self.num_rounds > self.episodes_per_task:
            raise ValueError(
                f"branching.num_rounds is {self.num_rounds}, episodes_per_task "
                f"{self.episodes_per_task}: a round has at least one episode of each task"
            )
        return self


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

    def may_change(self) -> tuple[str, ...]:
        """What a resumed run may set anew: how much is played, how long is waited, by which way a
        server is reached, what counts as success in what is shown. Never what is played."""
        return (
            "budget",
            "max_attempts",
            "success_threshold",
            *(f"environment.{key}" for key in self.environment.may_change),
            *(f"policy.{key}" for key in self.policy.may_change),
        )

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
    def _has_an_expert(self) -> ExplorationConfig:
        if self.policy.needs_expert and not self.environment.has_expert:
            raise ValueError(
                f"policy: expert plays the environment's own solution, and {self.environment.title}"
                " has none: set environment.expert to a module:callable that returns a task's "
                "actions (docs/environments.md), or another policy"
            )
        return self

    @model_validator(mode="after")
    def _has_actions_to_choose_from(self) -> ExplorationConfig:
        if self.policy.chooser and not self.environment.lists_actions:
            other = "policy.noise: 0" if self.policy.needs_expert else "another policy or decoding"
            raise ValueError(f"{unlisted(self.environment, self.policy.chooser)}, or {other}")
        return self

    @model_validator(mode="after")
    def _can_count_its_tokens(self) -> ExplorationConfig:
        if self.budget.tokens is not None and not self.policy.samples_tokens:
            raise ValueError(
                f"budget.tokens counts what a model samples, and policy: {self.policy.name} is "
                "none: set budget.episodes"
            )
        return self

    @model_validator(mode="after")
    def _can_branch(self) -> ExplorationConfig:
        if self.branching and not any(s.temperature > 0 for s in self.samplings):
            raise ValueError("branching needs a sampling with a temperature above 0")
        return self
