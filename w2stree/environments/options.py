"""What can be set of each environment, and what is told of it: the keys a configuration has.

Options make the factory that an environment's processes call (`EnvironmentProcess`); what a kind
of environment has beside them is its row in `kinds.py`.
"""

from __future__ import annotations

import functools
import os.path
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Literal

from w2stree.environments.alfworld import Alfworld
from w2stree.environments.alfworld.games import SPLITS
from w2stree.environments.gymnasium import GymnasiumEnvironment
from w2stree.environments.hosting.limits import Limits
from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.environments.protocol import Environment
from w2stree.environments.scienceworld import ScienceWorld
from w2stree.environments.textworld_express import FOLD_SIZE, TextWorldExpress, refuse_unknown_game
from w2stree.environments.webshop import WebShop
from w2stree.errors import InvalidInput
from w2stree.shorten import quoted, shorten
from w2stree.trajectories.field_types import check_field_types
from w2stree.turns.decoding import Decoding

_MAX_MEMORY_MB = 2048
_SHOWN_COLUMNS = 500  # of code that is named: all of it, unless somebody means to hide it


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What every environment has: `num_processes` side by side, each within `limits`.

    `max_steps`: an episode's; None: each task's own. Paths may begin with `~`. Raises
    `InvalidInput` for `num_processes` or `max_steps` below 1.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}
    may_change: ClassVar[tuple[str, ...]] = ("num_processes", "limits")
    """Keys that no answer depends on: a resumed run may set them anew."""

    name: str
    num_processes: int = 4
    limits: Limits = Limits(memory_limit_mb=_MAX_MEMORY_MB)
    max_steps: int | None = None

    def __post_init__(self) -> None:
        check_field_types(self)
        if self.num_processes < 1:
            raise InvalidInput(f"num_processes is {self.num_processes}; give at least 1")
        if self.max_steps is not None and self.max_steps < 1:
            raise InvalidInput(f"max_steps is {self.max_steps}; give at least 1")
        for option in fields(self):
            if isinstance(path := getattr(self, option.name), Path):
                at_home = Path(os.path.expanduser(path))  # noqa: PTH111 (which raises for ~nobody)
                object.__setattr__(self, option.name, at_home)

    def factory(self) -> Callable[[], Environment]:
        """What makes the environment, for its processes to call."""
        raise NotImplementedError

    def pool(self) -> EnvironmentPool:
        """The processes, for the caller to close."""
        return EnvironmentPool(self.factory(), self.num_processes, self.limits)

    @property
    def code(self) -> str:
        """What code they name, in words of one line: playing runs it. "": they name none, and
        whoever wrote them can choose tasks and settings, no code."""
        return ""

    @property
    def files(self) -> tuple[Path, ...]:
        """The user's own files that say which tasks there are."""
        return ()

    def refuse_too_many(self, num_tasks: int) -> None:
        """Raises `InvalidInput` if a fold is known to have fewer tasks than that."""

    @property
    def splits(self) -> tuple[str, ...]:
        """The folds that its tasks are in."""
        return ("train", "dev", "test")

    def task_type(self, task_id: str) -> str:
        """What sort of task an id names; tasks are drawn from all sorts by turns. "": one sort."""
        return ""

    @property
    def title(self) -> str:
        """What is played, for a heading: "twc"."""
        raise NotImplementedError

    @property
    def noun(self) -> str:
        """The word for it, to follow "the": "game"."""
        return "game"

    @property
    def sentence(self) -> str:
        """Both, within a sentence: "the text game twc"."""
        return f"the text {self.noun} {self.title}"

    @property
    def settings(self) -> list[str]:
        """What was set, in words, for a line below it."""
        steps = f"at most {self.max_steps} steps an episode"
        return [*self._own(), steps if self.max_steps else "each task's own step limit"]

    def _own(self) -> list[str]:
        """The settings that no other environment has."""
        return []

    @property
    def lists_actions(self) -> bool:
        """Whether it says which actions can be taken: what random play chooses from."""
        return True

    @property
    def has_expert(self) -> bool:
        """Whether it can demonstrate its tasks."""
        return True

    @property
    def decoding(self) -> Decoding:
        """How a model's turns are decoded unless told: by what the environment lists."""
        return Decoding(actions="admissible" if self.lists_actions else "free")


_GAMES = {
    "cookingworld": "CookingWorld: a meal is to be cooked by a recipe",
    "coin": "Coin Collector: a coin is to be found among rooms",
    "twc": "TextWorld Commonsense: things are to be put where they belong",
    "mapreader": "MapReader: a coin is to be fetched by the help of a map",
    "simonsays": "Simon Says: what is said is to be done",
}
"""What a stranger is told of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextWorldExpressOptions(Options):
    """`params` are the game's own generation settings.

    Raises `InvalidInput` as `Options` does, and for an unknown game.
    """

    name: Literal["textworld_express"] = "textworld_express"
    game: str
    params: dict[str, int] = field(default_factory=dict)
    max_steps: int = 50
    num_processes: int = 16
    limits: Limits = Limits(memory_limit_mb=512, max_episodes=5000)

    def __post_init__(self) -> None:
        Options.__post_init__(self)
        refuse_unknown_game(self.game)

    def factory(self) -> Callable[[], Environment]:
        return functools.partial(
            TextWorldExpress, self.game, dict(self.params), max_steps=self.max_steps
        )

    def refuse_too_many(self, num_tasks: int) -> None:
        if num_tasks > FOLD_SIZE:
            raise InvalidInput(
                f"{num_tasks} tasks of one fold are asked for; {self.game} has {FOLD_SIZE}"
            )

    @property
    def title(self) -> str:
        return self.game

    @property
    def sentence(self) -> str:
        about = _GAMES.get(self.game)
        return f"the text {self.noun} {self.title}" + (f" ({about})" if about else "")

    def _own(self) -> list[str]:
        params = ", ".join(f"{name} {value}" for name, value in self.params.items())
        return [f"game settings: {params}" if params else "the game's own settings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScienceWorldOptions(Options):
    """`split_file`: the user's own train/dev/test pairs; `max_steps` absent: each task's own."""

    name: Literal["scienceworld"] = "scienceworld"
    simplification: str = "easy"
    split_file: Path | None = None
    list_actions: bool = False
    limits: Limits = Limits(memory_limit_mb=_MAX_MEMORY_MB, max_episodes=500)

    def factory(self) -> Callable[[], Environment]:
        return functools.partial(
            ScienceWorld,
            simplification=self.simplification,
            split_file=self.split_file,
            max_steps=self.max_steps,
            list_actions=self.list_actions,
        )

    @property
    def files(self) -> tuple[Path, ...]:
        return () if self.split_file is None else (self.split_file,)

    def task_type(self, task_id: str) -> str:
        return task_id.split("/")[1]  # scienceworld/boil/21: one of the engine's thirty tasks

    @property
    def title(self) -> str:
        return "ScienceWorld"

    def _own(self) -> list[str]:
        simplification = f"simplification {self.simplification or 'none'}"
        split = [] if self.split_file is None else [f"split file {self.split_file.name}"]
        return [simplification, *split]

    @property
    def lists_actions(self) -> bool:
        return self.list_actions


@dataclass(frozen=True, slots=True, kw_only=True)
class AlfworldOptions(Options):
    """`data`: the official layout or the compact pack (default: `$ALFWORLD_DATA`)."""

    name: Literal["alfworld"] = "alfworld"
    data: Path | None = None
    expert: Literal["stored", "planner"] = "stored"
    max_steps: int = 40

    def factory(self) -> Callable[[], Environment]:
        return functools.partial(Alfworld, self.data, expert=self.expert, max_steps=self.max_steps)

    @property
    def code(self) -> str:
        if self.data is None:
            return ""  # the user's own $ALFWORLD_DATA
        games = quoted(str(self.data), _SHOWN_COLUMNS)
        return f"the games in {games}, whose grammars hold expressions for Python's eval"

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(SPLITS)

    def task_type(self, task_id: str) -> str:
        # train/pick_and_place_simple-Mug-None-Desk-308/trial_…: one of the benchmark's six
        return task_id.split("/")[1].partition("-")[0]

    @property
    def title(self) -> str:
        return "ALFWorld"

    def _own(self) -> list[str]:
        return [f"{self.expert} expert"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WebShopOptions(Options):
    """`data`: a data directory, the small one or the full one (default: `$WEBSHOP_DATA`)."""

    name: Literal["webshop"] = "webshop"
    data: Path | None = None
    goals: Literal["synthetic", "human"] = "synthetic"
    max_steps: int = 10
    limits: Limits = Limits()  # the full catalogue takes what it takes

    def factory(self) -> Callable[[], Environment]:
        return functools.partial(WebShop, self.data, goals=self.goals, max_steps=self.max_steps)

    @property
    def title(self) -> str:
        return "WebShop"

    @property
    def noun(self) -> str:
        return "shop"

    @property
    def sentence(self) -> str:
        return f"the web shop {self.title}"

    def _own(self) -> list[str]:
        return [f"{self.goals} goals"]

    @property
    def decoding(self) -> Decoding:
        return Decoding(actions="free")  # keywords are the agent's own


@dataclass(frozen=True, slots=True, kw_only=True)
class GymnasiumOptions(Options):
    """`make`: `module:callable` that makes a Gymnasium environment, or a game.

    `options` are its arguments; `score_range` the worst and best sum of rewards; `action_names`
    the names of a Discrete space's actions; `list_actions`: false says that the environment lists
    none, and is taken at its word; `multi_line`: an action may have several lines; `expert`:
    `module:callable` that solves a task (`GymnasiumEnvironment`).
    """

    name: Literal["gymnasium"] = "gymnasium"
    make: str
    options: dict[str, Any] = field(default_factory=dict)
    score_range: tuple[float, float] = (0.0, 1.0)
    action_names: tuple[str, ...] = ()
    list_actions: bool = True
    multi_line: bool = False
    expert: str | None = None
    max_steps: int = 50

    def factory(self) -> Callable[[], Environment]:
        return functools.partial(
            GymnasiumEnvironment,
            self.make,
            dict(self.options),
            max_steps=self.max_steps,
            score_range=self.score_range,
            action_names=self.action_names,
            multi_line=self.multi_line,
            expert=self.expert,
        )

    @property
    def code(self) -> str:
        options = shorten(repr(self.options), _SHOWN_COLUMNS)
        made = quoted(self.make, _SHOWN_COLUMNS)
        solved = "" if self.expert is None else f", expert: {quoted(self.expert, _SHOWN_COLUMNS)}"
        return (
            f"make: {made}{solved}, imported (from the working directory too) and called with "
            f"options {options}"
        )

    @property
    def title(self) -> str:
        return str(self.options.get("id", self.make))

    @property
    def noun(self) -> str:
        return "environment"

    @property
    def sentence(self) -> str:
        return f"the environment {self.title}"

    @property
    def lists_actions(self) -> bool:
        return self.list_actions

    @property
    def has_expert(self) -> bool:
        return self.expert is not None

    def _own(self) -> list[str]:
        given = ", ".join(f"{name} {value}" for name, value in self.options.items())
        return [given or "the environment's own settings"]
