"""Naive weak-to-strong SFT: the strong SFT model imitates all of the weak one's runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from w2stree.experiment.methods.imitation import imitate
from w2stree.experiment.methods.method import Method
from w2stree.experiment.section import Section
from w2stree.training.optimisation import Optimisation
from w2stree.trajectories.trajectory import Trajectory

if TYPE_CHECKING:
    from w2stree.training.fitting import Fitting, ModelSource, Trained


class WeakSftNaiveSection(Section):
    """With the demonstrations or without."""

    with_demonstrations: bool = True
    optimisation: Optimisation


def train(
    *,
    explored: Sequence[Trajectory],
    start: ModelSource,
    demonstrations: Sequence[Trajectory],
    section: WeakSftNaiveSection,
    fitting: Fitting,
) -> Trained:
    """Trains the strong SFT model (`start`) on every run that did not end in an error, good or bad.

    Each run is a row: a path that was taken five times counts five times. `num_runs` counts them.

    Raises `InvalidInput` if nothing fits the length, or no turn has an action.
    """
    runs = [run for run in explored if run.status != "error"]
    counts = {"num_runs": len(runs)}
    return imitate(runs, demonstrations, start, section, fitting, counts=counts)


METHOD = Method(
    name="weak_sft_naive",
    label="Strong + all runs",
    explanation="then fine-tuned on all of the weak model's runs, good and bad",
    section=WeakSftNaiveSection,
    needs={
        "explored": "explored",
        "start": "sft_strong",
        "demonstrations": "demonstrations",
    },
    train=train,
)
