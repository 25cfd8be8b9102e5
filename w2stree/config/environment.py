"""The environment of a configuration: which one, its options, how many side by side.

A section makes the factory that the environment's processes call (`EnvironmentProcess`), so the
environment's own package is imported there and nowhere else.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

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


class AlfworldSection(Section):
    """`data`: the official layout or the compact pack (default: `$ALFWORLD_DATA`)."""

    name: Literal["alfworld"]
    data: Path | None = None
    expert: Literal["stored", "planner"] = "stored"
    max_steps: Positive = 40
    num_processes: Positive = 4

    def factory(self) -> Callable[[], Environment]:
        from w2stree.environments.alfworld import Alfworld

        return functools.partial(Alfworld, self.data, expert=self.expert, max_steps=self.max_steps)


EnvironmentSection = Annotated[
    TextWorldExpressSection | AlfworldSection, Field(discriminator="name")
]
