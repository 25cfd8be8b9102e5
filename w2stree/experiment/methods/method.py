"""What a method is, to all that is assembled from methods: stages, configuration, table, report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from w2stree.errors import InvalidInput
from w2stree.experiment.section import Section
from w2stree.policies.protocol import Policy

if TYPE_CHECKING:
    from w2stree.training.fitting import Trained


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One row of the results table, and where it comes from.

    A method learns (`needs`, `train`), or it plays without learning (`policy`).
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
    """Where its settings are instead, when they are a part of the configuration's own, such as
    `weak.sft`."""

    needs: Mapping[str, str] = field(default_factory=dict)
    """What `train` receives: the argument, and the input that it is (`stages/inputs.py`). The
    stages that make the inputs run before, in this order."""

    train: Callable[..., Trained] | None = None
    """`train(**needs, section=, fitting=)` returns the trained model. It gets data (trajectories,
    a forest, models to open), its settings and a `Fitting`; it knows no folder."""

    describe: Callable[..., Mapping[str, float]] | None = None
    """`describe(forest, section=, seed=)`: what the method finds in the explored forest, as
    figures for the report (`report.text.FOREST_TERMS`). `seed` is its training stage's."""

    policy: Callable[[], Policy] | None = None
    """What plays, where nothing is trained."""

    needs_listed_actions: bool = False
    """Whether it chooses among the actions that the environment lists: where it lists none, the
    method is not run."""

    def __post_init__(self) -> None:
        if (self.train is None) == (self.policy is None):
            raise InvalidInput(f"method {self.name!r}: give exactly one of train and policy")
