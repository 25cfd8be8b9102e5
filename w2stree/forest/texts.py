"""The texts of ids: many in two arrays, as Arrow's large_string lays them out, or numbered.

data     g o n o r t h l o o k          UTF-8, one text after another
offset   0 7 11                         text i is data[offset[i] : offset[i + 1]]
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray


class TextColumn(Sequence[str]):
    """A sequence of str that holds bytes and decodes one text when it is asked for."""

    __slots__ = ("data", "offset")

    def __init__(self, data: NDArray[np.uint8], offset: NDArray[np.int64]) -> None:
        """Arrays are borrowed, not copied: `data` `[num_bytes]`, `offset` `[num_texts + 1]`."""
        self.data = data
        self.offset = offset

    @classmethod
    def of(cls, texts: Iterable[str]) -> TextColumn:
        """Encodes texts; lone surrogates, which some logs hold, survive the round trip."""
        encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
        offset = np.zeros(len(encoded) + 1, np.int64)
        np.cumsum([len(text) for text in encoded], out=offset[1:])
        return cls(np.frombuffer(b"".join(encoded), np.uint8), offset)

    def __len__(self) -> int:
        return len(self.offset) - 1

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        i = range(len(self))[index]  # negative indices, IndexError
        begin, end = int(self.offset[i]), int(self.offset[i + 1])
        return self.data[begin:end].tobytes().decode("utf-8", "surrogatepass")

    def __iter__(self) -> Iterator[str]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return f"TextColumn({len(self)} texts, {self.data.size} bytes)"


class NumberedTexts(Sequence[str]):
    """Texts for ids that came without any: "action 0", "action 1", …

    A sequence of `size` texts, each its name and its index, made on access."""

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


def empty_texts(texts: Sequence[str]) -> NDArray[np.int64]:
    """The ids of those that are empty. O(number of texts), without decoding any."""
    if isinstance(texts, TextColumn):
        return np.flatnonzero(np.diff(texts.offset) == 0)
    if isinstance(texts, NumberedTexts):
        return np.empty(0, np.int64)
    return np.array([i for i, text in enumerate(texts) if not text], np.int64)
