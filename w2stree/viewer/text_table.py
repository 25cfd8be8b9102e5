"""Texts by number, each distinct one once: text 0 is the empty one.

number of  "north" ──> 1      bytes  n o r t h l o o k
           "look"  ──> 2      start  0 0 5 9
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from w2stree.errors import InvalidInput

_MOST_BYTES = 1 << 30


class TextTable:
    """Made by asking for the number of one text after the other."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {"": 0}

    def number(self, text: str) -> int:
        return self._numbers.setdefault(text, len(self._numbers))

    def numbers(self, texts: Iterable[str]) -> NDArray[np.uint32]:
        """`[number of texts]`"""
        return np.fromiter(map(self.number, texts), np.uint32)

    def columns(self) -> dict[str, NDArray[np.uint8] | NDArray[np.uint32]]:
        """`text` `[bytes]`, UTF-8, and `text_start` `[number of texts + 1]`. Halves of surrogate
        pairs, which UTF-8 has no bytes for, are written as escapes, \\ud83d. Raises `InvalidInput`
        for more than a browser can take."""
        encoded = [text.encode("utf-8", "backslashreplace") for text in self._numbers]
        start = np.zeros(len(encoded) + 1, np.int64)
        np.cumsum([len(text) for text in encoded], out=start[1:])
        if start[-1] > _MOST_BYTES:
            raise InvalidInput(
                f"the texts come to {start[-1] / 1e6:,.0f} MB, more than a browser opens: look at "
                "fewer tasks"
            )
        content = np.frombuffer(b"".join(encoded), np.uint8)
        return {"text_start": start.astype(np.uint32), "text": content}
