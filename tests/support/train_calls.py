"""Small trainings by the public calls: runs, models and settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from support.tiny_models import BAD, GOOD, WORSE, tiny_model, tiny_tokenizer
from trl import DPOConfig, SFTConfig

import w2stree as w2s
from w2stree.trajectories.trajectory import Message, Trajectory


def runs(num_tasks: int = 4, kinds: Sequence[Trajectory] = (GOOD, BAD, WORSE)) -> list[Trajectory]:
    """Tasks that are told apart by their prompts."""
    return [
        replace(t, task_id=f"task-{i}", prompt=(Message("user", f"Cook meal {i}."),))
        for i in range(num_tasks)
        for t in kinds
    ]


def dpo_args(**settings: Any) -> DPOConfig:
    given = {"learning_rate": 1e-3, "max_steps": 2, "report_to": [], "use_cpu": True, "bf16": False}
    return DPOConfig(output_dir="elsewhere", **{**given, **settings})


def sft_args(**settings: Any) -> SFTConfig:
    given = {"learning_rate": 1e-3, "max_steps": 2, "report_to": [], "use_cpu": True, "bf16": False}
    return SFTConfig(output_dir="elsewhere", **{**given, **settings})


def model(seed: int = 0) -> tuple[Any, Any]:
    tokenizer = tiny_tokenizer()
    return tiny_model(tokenizer, seed=seed), tokenizer


def pairs(trajectories: Sequence[Trajectory], **options: Any) -> Any:
    return w2s.build_forest(trajectories).pairs(**options)
