"""The ceiling: the strong SFT model shown demonstrations of the explored tasks too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from w2stree.experiment.methods.method import Method
from w2stree.experiment.section import Section
from w2stree.training.optimisation import Optimisation
from w2stree.trajectories.trajectory import Trajectory

if TYPE_CHECKING:
    from w2stree.training.fitting import Fitting, ModelSource, Trained


class CeilingSection(Section):
    optimisation: Optimisation


def train(
    *,
    of_explored: Sequence[Trajectory],
    start: ModelSource,
    demonstrations: Sequence[Trajectory],
    section: CeilingSection,
    fitting: Fitting,
) -> Trained:
    """Trains the strong SFT model (`start`) on demonstrations of explored tasks (`of_explored`)
    together with those that it was trained on.

    Raises `InvalidInput` if no demonstration fits the length, or no turn of them has an action.
    """
    return fitting.sft(start(), [*of_explored, *demonstrations], section.optimisation)


METHOD = Method(
    name="ceiling",
    label="Ceiling",
    explanation="the strong model, shown demonstrations of the explored tasks instead",
    section=CeilingSection,
    needs={
        "of_explored": "ceiling_demonstrations",
        "start": "sft_strong",
        "demonstrations": "demonstrations",
    },
    train=train,
)
