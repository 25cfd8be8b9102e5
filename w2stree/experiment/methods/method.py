"""What a method is, to all that is assembled from methods: stages, configuration, table, report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from w2stree.errors import InvalidInput
from w2stree.experiment.section import Section
from w2stree.forest.forest import Forest
from w2stree.policies.protocol import Policy, Sampling
from w2stree.rows.rows import PreferenceRow
from w2stree.trajectories.trajectory import Trajectory

if TYPE_CHECKING:
    from w2stree.training.fitting import Trained


@dataclass(frozen=True, slots=True)
class Explored:
    """What the exploration came to, for methods to describe: the forest, its best paths, and from
    which return on a run is a success."""

    forest: Forest
    best_paths: Sequence[Trajectory]
    success_threshold: float


@dataclass(frozen=True, slots=True)
class Imitated:
    """A run that is imitated, and how many of its steps are learned."""

    run: Trajectory
    num_learned: int


def whole(runs: Sequence[Trajectory]) -> list[Imitated]:
    """Runs of which every step is learned."""
    return [Imitated(run, len(run.steps)) for run in runs]


@dataclass(frozen=True, slots=True)
class Drawn:
    """Playing a test task several times with the model of another method, and counting the run of
    greatest return: `samplings(section)` says how often and how."""

    model: str
    samplings: Callable[[Any], Sequence[Sampling]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One row of the results table, and where it comes from.

    A method learns (`needs`, `train`), or it plays without learning (`policy`, `drawn`).
    """

    name: str
    """Of its row, of the stage that trains it, and of its section."""

    label: str
    """What the report calls it."""

    explanation: str
    """What it is, in a clause."""

    is_tested: bool = False
    """Whether the experiment asks about it; the others are there to compare with."""

    section: type[Section] | None = None
    """Its settings, under its name in a configuration; the method runs where they are given.
    None: it has no section and always runs."""

    settings_at: str | None = None
    """The place of its settings in the configuration's own sections, such as `weak.sft`; None:
    they are under its name."""

    needs: Mapping[str, str] = field(default_factory=dict)
    """The arguments of `train`, each with the name of its input (`experiment/stages/inputs.py`).
    The stages that make the inputs run before, in this order."""

    needs_too: Callable[[Any], Mapping[str, str]] | None = None
    """`needs_too(section)`: needs that some settings add; `train` has defaults for them."""

    train: Callable[..., Trained] | None = None
    """`train(**needs, section=, fitting=)` returns the trained model. It gets data (trajectories,
    a forest, models to open), its settings and a `Fitting`; it knows no folder."""

    describe: Callable[..., Mapping[str, float]] | None = None
    """`describe(explored, section=, seed=)`: what the method finds in an `Explored`, as figures by
    name. The report shows those that `report.terms.FOREST_TERMS` knows; the others are
    in `report.json` alone. `seed` is its training stage's."""

    compared: Callable[..., Sequence[PreferenceRow]] | None = None
    """`compared(**needs, section=, seed=, success_threshold=)`: the preference rows that `train`
    makes of its needs, before `max_rows`. The report shows some of them."""

    imitated: Callable[..., Sequence[Imitated]] | None = None
    """The same of a method that imitates: the runs that `train` makes of its needs, the
    demonstrations apart."""

    policy: Callable[[], Policy] | None = None
    """Makes the policy of a method that trains nothing."""

    drawn: Drawn | None = None
    """How a method that trains nothing plays another one's model."""

    needs_listed_actions: bool = False
    """Whether it chooses among the actions that the environment lists; it is not run if there are
    none."""

    def __post_init__(self) -> None:
        if [self.train, self.policy, self.drawn].count(None) != 2:
            raise InvalidInput(f"method {self.name!r}: give exactly one of train, policy and drawn")

    @property
    def model(self) -> str | None:
        """The method whose model plays; None where no model does."""
        if self.drawn is not None:
            return self.drawn.model
        return None if self.train is None else self.name
