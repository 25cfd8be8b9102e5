"""What stages share: the configuration, where results lie, the environments, progress."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tqdm import tqdm

from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.experiment.config import Config
from w2stree.forest.build import build_forest
from w2stree.forest.forest import Forest
from w2stree.policies.protocol import Policy
from w2stree.rollouts.exploration import choose_tasks
from w2stree.rollouts.rollout import EpisodePlan, rollout
from w2stree.trajectories.files import read_trajectories
from w2stree.trajectories.trajectory import Trajectory

METHODS = ("random", "sft_weak", "sft_strong", "tree_dpo", "mcts_sft", "ceiling")
"""What is evaluated, in the order of the report; all but random play are models of the run."""


@dataclass(slots=True)
class Context:
    """One run: `run_dir/<stage>` holds a finished stage's files."""

    config: Config
    run_dir: Path
    _resources: ExitStack = field(default_factory=ExitStack)
    _pool: EnvironmentPool | None = None
    _forest: Forest | None = None

    def seed(self, stage: str) -> int:
        """The stage's own seed, derived from the run's."""
        digest = hashlib.sha256(f"{self.config.seed}/{stage}".encode()).digest()
        return int.from_bytes(digest[:4], "big")

    def trajectories(self, stage: str) -> list[Trajectory]:
        """What a stage that plays episodes recorded."""
        return read_trajectories(self.run_dir / stage / "trajectories.jsonl")

    def forest(self) -> Forest:
        """The explored forest, built once: later stages only read it."""
        if self._forest is None:
            self._forest = build_forest(self.trajectories("explore"), merging=self.config.merge)
        return self._forest

    def model_dir(self, stage: str) -> Path:
        """The model a training stage made."""
        return self.run_dir / stage / "model"

    def tasks(self, part: Literal["demonstrations", "explore", "test"]) -> list[str]:
        """Task ids of a part: demonstrations, explore (disjoint, train fold) or test."""
        tasks = self.config.tasks
        split, first, count = {
            "demonstrations": ("train", 0, tasks.demonstrations),
            "explore": ("train", tasks.demonstrations, tasks.explore),
            "test": (tasks.test_split, tasks.test_offset, tasks.test),
        }[part]
        return choose_tasks(self.pool(), split, first=first, count=count)

    def pool(self) -> EnvironmentPool:
        """The run's environment processes, started once for all stages."""
        if self._pool is None:
            self._pool = self._resources.enter_context(self.config.environment.pool())
        return self._pool

    def play(
        self, stage: str, pool: EnvironmentPool, policy: Policy, plans: Sequence[EpisodePlan]
    ) -> list[Trajectory]:
        """Roll out every plan, with a progress bar."""
        episodes = rollout(pool, policy, plans, instruction=self.config.prompt.instruction)
        return list(bar(episodes, total=len(plans), what=f"{stage}: episodes"))

    def close(self) -> None:
        """Stop the environment processes."""
        self._resources.close()
        self._pool = None


def bar(items: Iterable[Any] | None = None, *, total: int, what: str) -> Any:
    """A progress bar with the time left, on standard error; gone when it is done."""
    return tqdm(items, total=total, desc=what, leave=False, dynamic_ncols=True)
