"""The sampling configurations of an exploration: a list, or the authors' six by name."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from w2stree.errors import InvalidInput
from w2stree.policies.protocol import Sampling
from w2stree.rollouts.exploration import PAPER_SAMPLINGS


def _by_name(value: Any) -> Any:
    if value == "paper":
        return PAPER_SAMPLINGS
    if not isinstance(value, list | tuple):
        raise InvalidInput(
            f"is {value!r}; give a list, as [{{temperature: 0.7, top_p: 0.9}}, "
            "{temperature: 1.0, model: base}], or paper for the authors' six"
        )
    return value


Samplings = Annotated[tuple[Sampling, ...], BeforeValidator(_by_name), Field(min_length=1)]
