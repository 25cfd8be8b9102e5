"""The paper's ceiling: the strong SFT model on expert preferences of the explored tasks.

As `eto`, where the other methods learn from the weak model's runs: an expert has shown those tasks,
which no other method but `ceiling` is told.
"""

from __future__ import annotations

from w2stree.experiment.methods import eto
from w2stree.experiment.methods.method import Method

METHOD = Method(
    name="ceiling_preferences",
    label="Ceiling, preferences",
    explanation="the strong model, taught an expert's runs of the explored tasks over its own",
    section=eto.ExpertPreferenceSection,
    needs={
        "own": "strong_explored",
        "experts": "ceiling_demonstrations",
        "start": "sft_strong",
    },
    train=eto.train,
    compared=eto.compared,
)
