"""p-values of several questions asked at once."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import TypeVar

from w2stree.errors import InvalidInput

Question = TypeVar("Question", bound=Hashable)


def holm(p_values: Mapping[Question, float | None]) -> dict[Question, float | None]:
    """p-values adjusted so that, whatever holds, the chance of one false finding among all stays
    below the level that each is compared with (Holm, Scandinavian Journal of Statistics 6, 1979).

        p sorted    0.001  0.02   0.04          times 3, 2, 1, and never below the one before:
        adjusted    0.003  0.04   0.04

    None is a question without an answer yet: it counts among those that are asked, as one that
    would find nothing, and stays None. Equal p-values get equal ones. Raises `InvalidInput` for a
    p-value outside [0, 1]. O(n log n).
    """
    for question, p in p_values.items():
        if p is not None and not 0 <= p <= 1:  # NaN is refused too
            raise InvalidInput(f"{question!r}: its p-value is {p!r}; give one in [0, 1]")
    ordered = sorted(p_values, key=lambda q: _or(p_values[q], math.inf))
    adjusted: dict[Question, float | None] = dict(p_values)
    above = 0.0
    for place, question in enumerate(ordered):
        p = p_values[question]
        if p is not None:
            above = max(above, min(1.0, p * (len(ordered) - place)))
            adjusted[question] = above
    return adjusted


def _or(value: float | None, other: float) -> float:
    return other if value is None else value
