"""Arrays that the core does not hold: written out on first use, and kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray


class Columns(dict[str, NDArray[Any]]):
    """Those written out so far, by the name of the core's method; looking up another one writes
    it out with `write(name)`."""

    __slots__ = ("_write",)

    def __init__(self, write: Callable[[str], NDArray[Any]]) -> None:
        super().__init__()
        self._write = write

    def __missing__(self, name: str) -> NDArray[Any]:
        column = self[name] = self._write(name)
        return column
