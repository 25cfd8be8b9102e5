"""Texts for ids that came without any: "action 0", "action 1", …"""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload


class NumberedTexts(Sequence[str]):
    """A sequence of `size` texts, each its name and its index, made on access."""

    __slots__ = ("_indices", "_name")

    def __init__(self, name: str, size: int) -> None:
        self._name = name
        self._indices = range(size)

    def __len__(self) -> int:
        return len(self._indices)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[i] for i in self._indices[index]]
        return f"{self._name} {self._indices[index]}"

    def __repr__(self) -> str:
        return f"NumberedTexts({self._name!r}, {len(self)})"
