"""Texts from outside, for a person to read: shortened to a width, nothing hidden in them.

Text of a game, a model, a server or a file may hold what a terminal obeys instead of showing it:

    "look\x1b[2J"      clears the screen
    "go \u202e htron"   is drawn from right to left, "north" among them
    "a\u200bb"          looks like "ab"

Whatever is printed goes through `visible`, or through `shorten` and `quoted`, which do the same.
"""

from __future__ import annotations

import unicodedata
from itertools import takewhile

# Controls (ESC, C1, DEL), formats (bidirectional, zero width, tags), halves of surrogate pairs,
# line and paragraph separators: Unicode's names for what is obeyed, or not seen.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def visible(text: str, *, keep_lines: bool = False) -> str:
    """The text with everything that a terminal obeys or does not show written as Python would:
    \\x1b, \\u202e, \\ud83d. Every other character is as it was, a backslash too: this is to be
    looked at, not to be read back.

    `keep_lines` leaves line feeds (and these alone) as they are. The result is one line without
    it, and can be encoded as UTF-8 either way."""
    if keep_lines:
        return "\n".join(map(visible, text.split("\n")))
    if text.isprintable():
        return text
    return "".join(_escaped(c) if unicodedata.category(c) in _HIDDEN else c for c in text)


def shorten(text: str, width: int) -> str:
    """On one line, white space as single spaces, the rest `visible`; at most `width` columns,
    "…" where it is cut."""
    line = " ".join(text.split())
    return cut(visible(line[: width + 1]), width)  # no character becomes less than one


def quoted(text: str, width: int) -> str:
    """In quotes, at most `width` columns of it; every space and line break stays visible, and
    so does whatever `visible` shows."""
    return repr(cut(text, width))


def excerpt(text: str, most: int = 4_000) -> str:
    """Head and tail of a text longer than `most` characters, and how much is left out between
    them: what failed is told in the first lines of an error, or in the last."""
    if len(text) <= most:
        return text
    head, tail = most - most // 4, most // 4
    left_out = len(text) - head - tail
    return f"{text[:head]} … [{left_out:,} characters left out] … {text[-tail:]}"


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


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def cut(text: str, width: int) -> str:
    """At most `width` columns, "…" where it is cut; nothing else is changed."""
    if len(text) <= width and num_columns(text) <= width:
        return text
    kept = text[: width - 1]
    while num_columns(kept) > width - 1:
        kept = kept[:-1]
    return f"{kept}…"
