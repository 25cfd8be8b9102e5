"""Texts shortened to a width, for a person to read."""

from __future__ import annotations

import unicodedata
from itertools import takewhile


def shorten(text: str, width: int) -> str:
    """On one line, white space as single spaces; at most `width` columns, "…" where it is cut."""
    return _cut(" ".join(text.split()), width)


def quoted(text: str, width: int) -> str:
    """In quotes, at most `width` columns of it; every space and line break stays visible."""
    return repr(_cut(text, width))


def where_they_part(one: str, other: str, *, before: int = 30) -> int:
    """From which character on to show two texts, so that what differs first is seen: `before`
    characters that they have in common stand in front of it."""
    same = takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    return max(0, sum(1 for _ in same) - before)


def num_columns(text: str) -> int:
    """Columns a monospaced font needs: wide East Asian characters take two, all others one."""
    if text.isascii():
        return len(text)
    return sum(1 + (unicodedata.east_asian_width(character) in "WF") for character in text)


def _cut(text: str, width: int) -> str:
    if len(text) <= width and num_columns(text) <= width:
        return text
    kept = text[: width - 1]
    while num_columns(kept) > width - 1:
        kept = kept[:-1]
    return f"{kept}…"
