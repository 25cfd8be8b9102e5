"""The experiment's configuration: one YAML file, every key known, every value checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BeforeValidator,
    Field,
    ValidationInfo,
    create_model,
    field_validator,
    model_validator,
)

from w2stree.errors import InvalidInput
from w2stree.experiment.config.continuations import ContinuationsSection
from w2stree.experiment.config.environment import EnvironmentSection
from w2stree.experiment.config.model import (
    ModelSection,
    StrongSection,
    TokenizerSection,
)
from w2stree.experiment.config.policy import ServedSection
from w2stree.experiment.config.sampling import Samplings
from w2stree.experiment.config.tasks import TasksSection
from w2stree.experiment.methods.method import Method
from w2stree.experiment.section import Positive, Section, UserPath, Whole, laid_over
from w2stree.forest.forest import Forest
from w2stree.forest.merging import Merging
from w2stree.forest.search import SearchResult
from w2stree.rollouts.recombination.recombine import ALL_OF_NOTHING, BUDGET_PER_TASK, Tried
from w2stree.training.launcher import Launch
from w2stree.training.trackers import trackers
from w2stree.turns.decoding import Decoding


class PromptSection(Section):
    """The episode's opening."""

    instruction: str = ""


class ExploreSection(Section):
    """One trajectory of each task for each sampling configuration (M of them); or, without
    `samplings`, the runs that somebody has played: what `read_trajectories` reads at
    `trajectories`, of tasks that are not tested."""

    samplings: Annotated[Samplings, Field(min_length=2)] | None = None
    trajectories: UserPath | None = None
    max_attempts: Positive = 3  # for episodes that end in an error

    @model_validator(mode="after")
    def _one_source(self) -> ExploreSection:
        if (self.samplings is None) == (self.trajectories is None):
            raise ValueError(
                "give exactly one of samplings (the weak model plays) and trajectories (a file of "
                "runs that were played)"
            )
        return self


class ExploreStrongSection(Section):
    """How the strong SFT model explores, where a method learns from its own runs: as the weak one,
    but for the `samplings` given here."""

    samplings: Samplings | None = None


class SearchSection(Section):
    """Offline UCB search (Eq. 7); every key is an argument of `Forest.search`."""

    num_simulations: Positive = 1000
    exploration: Annotated[float, Field(ge=0)] = 1.41
    stop_arm: bool = True
    backup: Literal["mean", "max"] = "mean"
    min_visits: Whole = 0
    num_paths: Positive = 1
    patience: Positive | None = None

    def run(self, forest: Forest) -> SearchResult:
        """Search the forest so."""
        return forest.search(**self.model_dump())


class RecombineSection(Section):
    """Each is an argument of `rollouts.recombination.recombine`."""

    budget_per_task: Positive = BUDGET_PER_TASK
    combine: bool = True
    shorten: bool = True
    actions: Tried = "seen"

    @model_validator(mode="after")
    def _searches_if_it_says_what(self) -> RecombineSection:
        if self.actions == "all" and not self.combine:
            raise ValueError(ALL_OF_NOTHING)
        return self


class PlainSearchSection(Section):
    """Each is an argument of `rollouts.recombination.plain_search.search_plainly`."""

    budget_per_task: Positive = BUDGET_PER_TASK
    shorten: bool = True


class EvaluateSection(Section):
    success_threshold: Annotated[float, Field(gt=0, le=1)] = 1.0
    num_bootstrap: Positive = 10_000


ReportTo = Annotated[tuple[str, ...], BeforeValidator(trackers)]

Seed = Annotated[int, Field(ge=0, lt=2**32, strict=True)]  # as far as trainers seed NumPy

DRAWING = (
    "random_play",
    "pretrain",
    "explore",
    "plain_search",
    "continuations",
    "explore_strong",
    "explore_demonstrated",
    "explore_held_out",
    "evaluate",
    "report",
)
"""What draws with a seed of its own, beside the methods that are trained."""


class Config(Section):
    """A whole experiment, but for the methods' sections: see `config_of`.

    `demonstrations` is a file of trajectories, or a folder of them, whose successes are shown in
    place of the environment's expert (`read_demonstrated`). Keys that `decoding` leaves out take
    the environment's values. `seeds` gives stages another seed than `seed`, by name: runs of
    several seeds then share what comes of those. `num_trajectories`: how many runs of each explored
    task are learned from, where not all (`first_runs`); the exploration is the same for any.
    `launch` has models trained in several processes (`Launch`); all else is this one's.
    `report_to`: the trackers that training curves go to, by transformers' names: one or several of
    tensorboard, trackio and wandb, or none (docs/watching.md); no result depends on it.
    """

    known_methods: ClassVar[tuple[Method, ...]] = ()

    name: str
    seed: Seed = 0
    seeds: dict[str, Seed] = Field(default_factory=dict)
    num_threads: Positive = 2
    launch: Launch | None = None
    report_to: ReportTo = ()  # trackers of training curves
    max_length: Positive = 2048
    tokenizer: TokenizerSection = TokenizerSection()
    environment: EnvironmentSection
    tasks: TasksSection
    demonstrations: UserPath | None = None
    prompt: PromptSection = PromptSection()
    decoding: Decoding = Field(default={}, validate_default=True)
    weak: ModelSection
    strong: StrongSection
    explore: ExploreSection
    num_trajectories: Positive | None = None
    explore_strong: ExploreStrongSection = ExploreStrongSection()
    merge: Merging = Merging()
    search: SearchSection = SearchSection()
    recombine: RecombineSection = RecombineSection()
    plain_search: PlainSearchSection = PlainSearchSection()
    continuations: ContinuationsSection = ContinuationsSection()
    evaluate: EvaluateSection = EvaluateSection()

    @model_validator(mode="before")
    @classmethod
    def _has_somewhere_to_test(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("environment") is None:
            raise InvalidInput(
                "environment: is missing: whatever explored, methods are tested by playing there; "
                "to train on runs of a world that cannot be played here use `w2stree train`"
            )
        return given

    @field_validator("decoding", mode="before")
    @classmethod
    def _as_the_environment_allows(cls, given: Any, info: ValidationInfo) -> Any:
        environment = info.data.get("environment")
        return given if environment is None else laid_over(environment.decoding, given)

    def methods(self) -> tuple[Method, ...]:
        """The methods that are compared: those asked for, less those left out."""
        left_out = self.methods_left_out()
        return tuple(m for m in self._asked_for() if m not in left_out)

    def methods_left_out(self) -> tuple[Method, ...]:
        """Those asked for that lack actions to choose from."""
        if self.environment.lists_actions:
            return ()
        return tuple(m for m in self._asked_for() if m.needs_listed_actions)

    def _asked_for(self) -> tuple[Method, ...]:
        return tuple(
            m for m in self.known_methods if m.section is None or getattr(self, m.name) is not None
        )

    def settings(self, method: Method) -> Any:
        """The settings that a method is trained with."""
        value: Any = self
        for key in (method.settings_at or method.name).split("."):
            value = getattr(value, key)
        return value

    def seed_of(self, stage: str) -> int:
        """What the stage's own seed is derived from."""
        return self.seeds.get(stage, self.seed)

    def may_change(self) -> tuple[str, ...]:
        """Keys that no result depends on: nothing is redone for them."""
        environment = (f"environment.{key}" for key in self.environment.may_change)
        served = (
            f"{role}.served.{key}"
            for role in ("weak", "strong")
            if getattr(self, role).served is not None
            for key in ServedSection.may_change
        )
        return (*environment, *served, "explore.max_attempts", "report_to")

    def record(self) -> dict[str, Any]:
        """As plain values, without where curves go: what results of an experiment keep."""
        return self.model_dump(mode="json", exclude={"report_to"})

    @field_validator("seeds")
    @classmethod
    def _of_what_draws(cls, given: dict[str, int]) -> dict[str, int]:
        known = (*DRAWING, *(m.name for m in cls.known_methods if m.train is not None))
        for name in given:
            if name not in known:
                raise InvalidInput(
                    f"{name!r} draws nothing with a seed of its own; {', '.join(known)} do"
                )
        return given

    @model_validator(mode="after")
    def _explores_so_many(self) -> Config:
        if self.explore.trajectories is None and self.tasks.explore is None:
            raise ValueError("tasks.explore: is missing")
        samplings, wanted = self.explore.samplings, self.num_trajectories
        if samplings is not None and wanted is not None and wanted > len(samplings):
            raise ValueError(
                f"num_trajectories is {wanted}, but explore.samplings gives each task "
                f"{len(samplings)}; add samplings, or leave it out to learn from all"
            )
        return self

    @model_validator(mode="after")
    def _coherent(self) -> Config:
        for role in ("weak", "strong"):
            section: ModelSection = getattr(self, role)
            if section.architecture and section.architecture.max_length < self.max_length:
                raise ValueError(
                    f"{role}.architecture.max_length is below max_length ({self.max_length})"
                )
        splits = self.environment.splits
        for name, panel in self.tasks.panels().items():
            if panel.split not in splits:
                raise ValueError(
                    f"{name}.split is {panel.split!r}; {self.environment.title} has "
                    f"{', '.join(splits)}"
                )
        return self


def config_of(methods: Sequence[Method]) -> type[Config]:
    """The configuration of experiments that may compare these methods: each section stands at the
    top, under its method's name."""
    sections: dict[str, Any] = {m.name: (m.section | None, None) for m in methods if m.section}
    made = create_model("Config", __base__=Config, __module__=__name__, **sections)
    made.known_methods = tuple(methods)
    return made
