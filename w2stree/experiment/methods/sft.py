"""Supervised fine-tuning on the demonstrations (L_SFT): the weak and the strong model.

All other methods are compared with these two. Their settings are the models' own (`weak.sft`,
`strong.sft`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from w2stree.experiment.methods.method import Method
from w2stree.training.optimisation import Optimisation
from w2stree.trajectories.trajectory import Trajectory

if TYPE_CHECKING:
    from w2stree.training.fitting import Fitting, ModelSource, Trained


def train(
    *,
    start: ModelSource,
    demonstrations: Sequence[Trajectory],
    section: Optimisation,
    fitting: Fitting,
) -> Trained:
    """Trains the model that `start` opens on the demonstrations' agent turns.

    Raises `InvalidInput` if no demonstration fits the length, or no turn of them has an action.
    """
    return fitting.sft(start(), demonstrations, section)


WEAK = Method(
    name="sft_weak",
    label="Weak model",
    explanation="the small model, fine-tuned on the demonstrations",
    settings_at="weak.sft",
    needs={"demonstrations": "demonstrations", "start": "weak_start"},
    train=train,
)

STRONG = Method(
    name="sft_strong",
    label="Strong model",
    explanation="the larger model, fine-tuned on the same demonstrations",
    settings_at="strong.sft",
    needs={"demonstrations": "demonstrations", "start": "strong_start"},
    train=train,
)
