"""Parameters that several commands have."""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeAlias, TypeVar

import typer

from w2stree.errors import InvalidInput

E = TypeVar("E", bound=StrEnum)

Overrides: TypeAlias = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY=VALUE", help="key.path=value, for example seed=1"),
]
Normalize: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--normalize",
        metavar="NAMES",
        help="merge observations that are equal without them: numbers, dates, paths, ids, or "
        "several, dates+numbers; sort_words: equal in another order (docs/lint.md)",
        show_default=False,
    ),
]
LogJson: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--log-json",
        help="progress as JSON on standard error, one object a line, instead of bars",
    ),
]
RunDir: TypeAlias = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="where results go (default: runs/<name>)", show_default=False),
]


def whole_number(*, at_least: int | None = None) -> Callable[[Any], int]:
    """The parser of an option: what it refuses is told in our words, not in pydantic's."""
    wanted = "a whole number" + ("" if at_least is None else f" of at least {at_least}")

    def parse(given: Any) -> int:
        try:
            value = int(given)
        except ValueError:
            raise typer.BadParameter(f"{given!r}; give {wanted}") from None
        if at_least is not None and value < at_least:
            raise typer.BadParameter(f"{value}; give {wanted}")
        return value

    return parse


def number(*, above: float | None = None) -> Callable[[Any], float]:
    """The parser of an option that is a finite number, more than `above` where that is given."""
    wanted = "a number" + ("" if above is None else f" above {above:g}")

    def parse(given: Any) -> float:
        try:
            value = float(given)
        except ValueError:
            raise typer.BadParameter(f"{given!r}; give {wanted}") from None
        if not math.isfinite(value) or (above is not None and value <= above):
            raise typer.BadParameter(f"{given!r}; give {wanted}")
        return value

    return parse


def one_of(choices: type[E]) -> Callable[[Any], E]:
    """The parser of an option that is one of these words."""
    wanted = ", ".join(choices)

    def parse(given: Any) -> E:
        try:
            return choices(given)
        except ValueError:
            raise typer.BadParameter(f"{given!r}; give one of {wanted}") from None

    return parse


def number_in_0_1(given: Any) -> float:
    """The parser of an option that is a number in (0, 1]."""
    try:
        value = float(given)
    except ValueError:
        value = 0.0
    if not 0.0 < value <= 1.0:
        raise typer.BadParameter(f"{given!r}; give a number in (0, 1]")
    return value


def names(option: str, given: str | None) -> list[str] | None:
    """The names in `A,B`. Raises `InvalidInput` where none is named: that is not all of them."""
    if given is None:
        return None
    named = [name.strip() for name in given.split(",") if name.strip()]
    if not named:
        raise InvalidInput(f"{option} {given!r}: names none; leave it out for all")
    return named
