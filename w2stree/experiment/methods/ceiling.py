"""The ceiling: the strong SFT model shown expert runs of the explored tasks too."""

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
    expert_runs: Sequence[Trajectory],
    start: ModelSource,
    demonstrations: Sequence[Trajectory],
    section: CeilingSection,
    fitting: Fitting,
) -> Trained:
    return fitting.sft(start(), [*expert_runs, *demonstrations], section.optimisation)


METHOD = Method(
    name="ceiling",
    label="Ceiling",
    explanation="the strong model, shown expert runs of the explored tasks instead",
    section=CeilingSection,
    needs={
        "expert_runs": "ceiling_demonstrations",
        "start": "sft_strong",
        "demonstrations": "demonstrations",
    },
    train=train,
)
