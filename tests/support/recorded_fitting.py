"""In place of a `Fitting`: what a method asks of it."""

from __future__ import annotations

from typing import Any

from w2stree.training.fitting import Trained


class RecordedFitting:
    """Keeps the last request; what it gives back is no model."""

    seed, max_length, success_threshold = 3, 512, 1.0

    def __init__(self) -> None:
        self.asked: dict[str, Any] = {}

    def sft(self, start: Any, trajectories: Any, optimisation: Any, **options: Any) -> Trained:
        self.asked = {"start": start, "trajectories": list(trajectories), **options}
        return Trained("model", "tokenizer", {"num_steps": 1.0})

    def dpo(self, start: Any, rows: Any, optimisation: Any, **options: Any) -> Trained:
        self.asked = {"start": start, "rows": list(rows), **options}
        return Trained("model", "tokenizer", {"num_steps": 1.0})
