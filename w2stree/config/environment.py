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

from w2stree.config.section import Positive, Section
from w2stree.environment import Environment


class TextWorldExpressSection(Section):
    """`params` are the game's own generation settings."""

    name: Literal["textworld_express"] = "textworld_express"
    game: str
    params: dict[str, int] = Field(default_factory=dict)
    max_steps: Positive = 50
    num_processes: Positive = 16

    def factory(self) -> Callable[[], Environment]:
        from w2stree.environments.textworld_express import TextWorldExpress, refuse_unknown_game

        refuse_unknown_game(self.game)
        return functools.partial(
            TextWorldExpress, self.game, dict(self.params), max_steps=self.max_steps
        )


class WebShopSection(Section):
    """`data`: a data directory, the small one or the full one (default: `$WEBSHOP_DATA`)."""

    name: Literal["webshop"]
    data: Path | None = None
    goals: Literal["synthetic", "human"] = "synthetic"
    max_steps: Positive = 10
    num_processes: Positive = 4

    def factory(self) -> Callable[[], Environment]:
        from w2stree.environments.webshop import WebShop

        return functools.partial(WebShop, self.data, goals=self.goals, max_steps=self.max_steps)


class GymnasiumSection(Section):
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
    num_processes: Positive = 4

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
    TextWorldExpressSection | WebShopSection | GymnasiumSection,
    Field(discriminator="name"),
]
