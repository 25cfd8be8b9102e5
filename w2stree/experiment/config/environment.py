"""The environment of a configuration: which one, its options, how many side by side.

A section makes the factory that the environment's processes call (`EnvironmentProcess`), so the
environment's own package is imported there and nowhere else.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.environments.protocol import Environment
from w2stree.experiment.config.section import Positive, Section


class ProcessesSection(Section):
    """How many processes an environment has, and what each may take (`EnvironmentProcess`).

    `memory_limit_mb` is of a process with all it starts, a JVM included; `max_episodes` is
    how many episodes it plays before a fresh one takes its place (null: no limit, never).
    """

    num_processes: Positive = 4
    deadline_s: Annotated[float, Field(gt=0)] = 60.0
    start_deadline_s: Annotated[float, Field(gt=0)] = 300.0
    memory_limit_mb: Positive | None = 2048
    max_episodes: Positive | None = None

    def factory(self) -> Callable[[], Environment]:
        """What makes the environment, for its processes to call."""
        raise NotImplementedError

    def pool(self) -> EnvironmentPool:
        """The processes, for the caller to close."""
        return EnvironmentPool(
            self.factory(),
            self.num_processes,
            deadline_s=self.deadline_s,
            start_deadline_s=self.start_deadline_s,
            memory_limit_mb=self.memory_limit_mb,
            max_episodes=self.max_episodes,
        )


class TextWorldExpressSection(ProcessesSection):
    """`params` are the game's own generation settings."""

    name: Literal["textworld_express"] = "textworld_express"
    game: str
    params: dict[str, int] = Field(default_factory=dict)
    max_steps: Positive = 50
    num_processes: Positive = 16
    memory_limit_mb: Positive | None = 512
    max_episodes: Positive | None = 5000

    def factory(self) -> Callable[[], Environment]:
        from w2stree.environments.textworld_express import TextWorldExpress, refuse_unknown_game

        refuse_unknown_game(self.game)
        return functools.partial(
            TextWorldExpress, self.game, dict(self.params), max_steps=self.max_steps
        )


class ScienceWorldSection(ProcessesSection):
    """`split_file`: the user's own train/dev/test pairs; `max_steps` absent: each task's own."""

    name: Literal["scienceworld"]
    simplification: str = "easy"
    split_file: Path | None = None
    max_steps: Positive | None = None
    list_actions: bool = False
    max_episodes: Positive | None = 500

    def factory(self) -> Callable[[], Environment]:
        from w2stree.environments.scienceworld import ScienceWorld

        return functools.partial(
            ScienceWorld,
            simplification=self.simplification,
            split_file=self.split_file,
            max_steps=self.max_steps,
            list_actions=self.list_actions,
        )


class AlfworldSection(ProcessesSection):
    """`data`: the official layout or the compact pack (default: `$ALFWORLD_DATA`)."""

    name: Literal["alfworld"]
    data: Path | None = None
    expert: Literal["stored", "planner"] = "stored"
    max_steps: Positive = 40

    def factory(self) -> Callable[[], Environment]:
        from w2stree.environments.alfworld import Alfworld

        return functools.partial(Alfworld, self.data, expert=self.expert, max_steps=self.max_steps)


class WebShopSection(ProcessesSection):
    """`data`: a data directory, the small one or the full one (default: `$WEBSHOP_DATA`)."""

    name: Literal["webshop"]
    data: Path | None = None
    goals: Literal["synthetic", "human"] = "synthetic"
    max_steps: Positive = 10
    memory_limit_mb: Positive | None = None  # the full catalogue takes what it takes

    def factory(self) -> Callable[[], Environment]:
        from w2stree.environments.webshop import WebShop

        return functools.partial(WebShop, self.data, goals=self.goals, max_steps=self.max_steps)


class GymnasiumSection(ProcessesSection):
    """`make`: `module:callable` that makes a Gymnasium (or older Gym) environment, or a game.

    `options` are its arguments; `score_range` the worst and best sum of rewards; `action_names`
    the names of a Discrete space's actions.
    """

    name: Literal["gymnasium"]
    make: str
    options: dict[str, Any] = Field(default_factory=dict)
    score_range: tuple[float, float] = (0.0, 1.0)
    action_names: tuple[str, ...] = ()
    max_steps: Positive = 50

    def factory(self) -> Callable[[], Environment]:
        from w2stree.environments.gymnasium import GymnasiumEnvironment

        return functools.partial(
            GymnasiumEnvironment,
            self.make,
            dict(self.options),
            max_steps=self.max_steps,
            score_range=self.score_range,
            action_names=self.action_names,
        )


EnvironmentSection = Annotated[
    TextWorldExpressSection
    | ScienceWorldSection
    | AlfworldSection
    | WebShopSection
    | GymnasiumSection,
    Field(discriminator="name"),
]
