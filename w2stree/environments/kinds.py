"""The environments there are: one row each. A new one is an adapter, its options, and a row."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from importlib import metadata

from w2stree.environments.options import (
    AlfworldOptions,
    GymnasiumOptions,
    Options,
    ScienceWorldOptions,
    TextWorldExpressOptions,
    WebShopOptions,
)
from w2stree.environments.textworld_express import GAMES
from w2stree.errors import InvalidInput, MissingDependency

# Far beyond any solution: a check asks whether the expert is right, not whether it is quick.
_MAX_STEPS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One environment and what it needs: `package` is the distribution, `module` what it is
    imported as, `extra` our extra that installs it, `needs` what else must be there.

    `checks` are the instances that `w2stree envs check` has the expert play, to `least_score`.
    """

    name: str
    options: type[Options]
    package: str
    module: str
    extra: str
    needs: str = ""
    needs_java: bool = False
    checks: tuple[Options, ...] = ()
    least_score: float = 1.0

    @property
    def install(self) -> str:
        """The command that installs it."""
        return f"pip install 'w2stree[{self.extra}]'"

    def version(self) -> str | None:
        """The installed version; None if it is absent."""
        try:
            return metadata.version(self.package)
        except metadata.PackageNotFoundError:
            return None

    def require(self) -> None:
        """Raises `MissingDependency` if the package is absent."""
        if importlib.util.find_spec(self.module) is None:
            raise MissingDependency(f"{self.name} is not installed: {self.install}")


KINDS = (
    Kind(
        name="textworld_express",
        options=TextWorldExpressOptions,
        package="textworld-express",
        module="textworld_express",
        extra="textworld-express",
        needs="Java",
        needs_java=True,
        checks=tuple(TextWorldExpressOptions(game=game, max_steps=_MAX_STEPS) for game in GAMES),
    ),
    Kind(
        name="scienceworld",
        options=ScienceWorldOptions,
        package="scienceworld",
        module="scienceworld",
        extra="scienceworld",
        needs="Java",
        needs_java=True,
        checks=(ScienceWorldOptions(max_steps=_MAX_STEPS),),
    ),
    Kind(
        name="alfworld",
        options=AlfworldOptions,
        package="textworld",
        module="textworld",
        extra="alfworld",
        needs="games in $ALFWORLD_DATA",
        # Not every game records a demonstration.
        checks=(AlfworldOptions(expert="planner", max_steps=_MAX_STEPS),),
    ),
    Kind(
        name="webshop",
        options=WebShopOptions,
        package="snowballstemmer",
        module="snowballstemmer",
        extra="webshop",
        needs="products in $WEBSHOP_DATA",
        checks=(WebShopOptions(max_steps=_MAX_STEPS),),
        # One goal in sixteen has an option that the published rule does not accept: no way to 1.
        least_score=0.5,
    ),
    Kind(
        name="gymnasium",
        options=GymnasiumOptions,
        package="gymnasium",
        module="gymnasium",
        extra="gymnasium",
        needs="an environment of yours",
    ),
)


def kind_named(name: str) -> Kind:
    """Raises `InvalidInput` naming those there are."""
    for kind in KINDS:
        if kind.name == name:
            return kind
    raise InvalidInput(f"no environment {name!r}; there are {', '.join(k.name for k in KINDS)}")


def kind_of(options: Options) -> Kind:
    """The row that these are the options of."""
    return kind_named(options.name)
