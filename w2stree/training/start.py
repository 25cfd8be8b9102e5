"""The model that a training begins with, or is compared with: a directory, or what is open."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from w2stree.errors import InvalidInput
from w2stree.training.models import load_model
from w2stree.training.positions import num_positions

ModelGiven = str | Path | tuple[Any, Any]
"""A model's directory, or (model, tokenizer) that are open."""

_ANY_LENGTH = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Start:
    """An open model, and what the user called it."""

    model: Any
    tokenizer: Any
    name: str | None

    def max_length(self, given: int | None, otherwise: int | None) -> int:
        """In tokens: what is asked for, or `otherwise`, or all that the model has positions for.

        Raises `InvalidInput` where more is asked for than that, or less than 1.
        """
        positions = num_positions(self.model.config)
        if given is not None and given < 1:
            raise InvalidInput(f"max_length is {given}; give at least 1")
        if given is not None and positions is not None and given > positions:
            raise InvalidInput(
                f"max_length is {given}, but the model has {positions} positions; give {positions} "
                "at most"
            )
        asked = otherwise if given is None else given
        return min(x for x in (asked, positions, _ANY_LENGTH) if x is not None)

    def longer(self, limit: int) -> str:
        """What to do about rows of more than `limit` tokens, where that is this model's limit."""
        positions = num_positions(self.model.config)
        if positions is not None and limit >= positions:
            return "the model has no more positions, so only a model with more learns from them"
        return "raise it to learn from them"


def opened(given: ModelGiven, *, argument: str, chat_template: str | Path | None = None) -> Start:
    """The model that was given, a directory's with another chat template if one is. Raises
    `InvalidInput` where it is none, and for a template beside an open model."""
    if isinstance(given, str | Path):
        return Start(*load_model(given, chat_template), name=str(given))
    if chat_template is not None:
        raise InvalidInput(
            f"chat_template is of a directory, and {argument} is open: set it on the tokenizer, "
            "w2stree.turns.template.set_template"
        )
    match given:
        case (model, tokenizer) if hasattr(model, "state_dict"):
            return Start(model, tokenizer, None)
        case _:
            raise InvalidInput(
                f"{argument} is {type(given).__name__}; give a model's directory, or the open "
                "(model, tokenizer)"
            )
