"""What methods that imitate runs or paths share: SFT on them, beside the demonstrations or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from w2stree.experiment.section import Fraction, Section
from w2stree.training.optimisation import Optimisation
from w2stree.trajectories.trajectory import Trajectory

if TYPE_CHECKING:
    from w2stree.training.fitting import Fitting, ModelSource, Trained


class PathSection(Section):
    """Paths of at least `min_return`, by default of every task that has one; with the
    demonstrations or without."""

    min_return: Fraction = 0.0
    with_demonstrations: bool = True
    optimisation: Optimisation


class Imitates(Protocol):
    """A section of a method that may be shown the demonstrations too."""

    @property
    def with_demonstrations(self) -> bool: ...

    @property
    def optimisation(self) -> Optimisation: ...


def imitate(
    paths: Sequence[Trajectory],
    demonstrations: Sequence[Trajectory],
    start: ModelSource,
    section: Imitates,
    fitting: Fitting,
    *,
    counts: Mapping[str, float],
) -> Trained:
    """Trains the model that `start` opens on the paths, and with `with_demonstrations` on the
    demonstrations after them; `counts` stand before the training's own figures.

    Raises `InvalidInput` if nothing fits the length, or no turn has an action.
    """
    shown = [*paths, *demonstrations] if section.with_demonstrations else paths
    trained = fitting.sft(start(), shown, section.optimisation)
    return replace(trained, metrics={**counts, **trained.metrics})
