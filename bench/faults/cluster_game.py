"""A game that takes a moment, for kills to come in the middle of it: `make` of a configuration."""

from __future__ import annotations

import time
from collections.abc import Generator

_MOMENT_S = 0.02
_LENGTH = 8


def walk(seed: int) -> Generator[tuple[str, float, list[str]], str, tuple[str, float]]:
    """A road of eight forks; the right way at each follows from the seed."""
    right = 0
    for number in range(_LENGTH):
        time.sleep(_MOMENT_S)
        action = yield f"Road {seed}, fork {number}.", right / _LENGTH, ["left", "right"]
        right += action == ("left", "right")[(seed >> number) % 2]
    return "The road ends.", right / _LENGTH
