"""A small environment for the check of environments: counting to three."""

from __future__ import annotations

from typing import Any

from w2stree.environments.protocol import ExpertTurn


class Counter:
    """Count to three; the odd tasks have an expert who cannot, the last a world that drifts."""

    num_resets = 0

    def __init__(self, *, max_steps: int) -> None:
        self.max_steps = max_steps

    def tasks(self, split: str) -> list[str]:
        return [] if split == "dev" else [f"{split}/{i}" for i in range(4)]

    def reset(self, task_id: str) -> Any:
        self.task_id, self.count = task_id, 0
        self.num_resets += 1
        return self._say(), {"score": 0.0, "admissible_actions": ["go"]}

    def step(self, action: str) -> Any:
        self.count += 1
        score = self.count / 3
        return self._say(), 1 / 3, score >= 1, False, {"score": score, "admissible_actions": []}

    def expert(self) -> list[ExpertTurn]:
        return [ExpertTurn("", "go")] * (2 if self.task_id == "train/2" else 3)

    def close(self) -> None:
        pass

    def _say(self) -> str:
        return str(self.num_resets if self.task_id == "test/2" else self.count)


class Steady(Counter):
    def _say(self) -> str:
        return "so far, so good"
