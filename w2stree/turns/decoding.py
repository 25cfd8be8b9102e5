"""How a model's turns are decoded: the same for every model of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from w2stree.errors import InvalidInput
from w2stree.trajectories.field_types import check_field_types

Actions = Literal["admissible", "free"]


@dataclass(frozen=True, slots=True)
class Decoding:
    """`actions`: `admissible` restricts the action to those the environment would accept (a
    thought stays free), `free` restricts nothing. `thought`: whether one stands before the action.

    `max_new_tokens`, at least 1, bounds what the model says freely: the whole turn, or its
    thought. Raises `InvalidInput` for fewer, and for unknown `actions`.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    actions: Actions = "free"
    thought: bool = True
    max_new_tokens: int = 64

    def __post_init__(self) -> None:
        check_field_types(self)
        if self.actions not in get_args(Actions):
            known = ", ".join(get_args(Actions))
            raise InvalidInput(f"actions is {self.actions!r}; use one of {known}")
        if self.max_new_tokens < 1:
            raise InvalidInput(f"max_new_tokens is {self.max_new_tokens}; give at least 1")
