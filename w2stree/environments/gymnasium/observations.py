"""What a game answers, as text: whole and exact, since different answers must be different texts.

[0.1 0.25 … 0.30000001]   ->   every number, each with the digits that tell it from all others

NumPy's own text leaves numbers out beyond 1,000 and rounds to eight digits, so that two states
would count as one.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from w2stree.errors import InvalidInput

MAX_NUMBERS = 10_000
"""More of them are a picture, and no text a model reads."""


def text_of(observation: Any) -> str:
    """Text as it is; of anything else its `str`, with arrays (NumPy's, and what converts to them)
    written out. Raises `InvalidInput` for more than `MAX_NUMBERS` numbers in all."""
    if isinstance(observation, str):
        return observation
    whole, num_numbers = _with_arrays(observation)
    if num_numbers > MAX_NUMBERS:
        raise InvalidInput(
            f"an observation of {num_numbers:,} numbers is no text a model reads (at most "
            f"{MAX_NUMBERS:,}): wrap the environment so that it answers in words, or give it the "
            'option render_mode: "ansi" where it has that'
        )
    with np.printoptions(threshold=sys.maxsize, floatmode="unique"):
        return str(whole)


def _with_arrays(observation: Any) -> tuple[Any, int]:
    """The observation with its parts as NumPy's arrays, and how many numbers they hold."""
    if isinstance(observation, Mapping):
        parts = {key: _with_arrays(part) for key, part in observation.items()}
        return {key: part for key, (part, _) in parts.items()}, sum(n for _, n in parts.values())
    if isinstance(observation, list | tuple):
        items = [_with_arrays(part) for part in observation]
        kind = list if isinstance(observation, list) else tuple
        return kind(part for part, _ in items), sum(n for _, n in items)
    if hasattr(observation, "__array__") and not isinstance(observation, np.generic):
        array = np.asarray(observation)
        return array, array.size
    return observation, 1
