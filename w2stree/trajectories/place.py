"""Where in a text something stands, for errors: lines and columns from 1, in characters.

"line 3, column 7", or of a text on one line "column 7"
"""

from __future__ import annotations


def line_column(text: str, position: int) -> tuple[int, int]:
    before = text[:position]
    return before.count("\n") + 1, position - before.rfind("\n")


def place(text: str, position: int) -> str:
    line, column = line_column(text, position)
    return f"line {line}, column {column}" if "\n" in text else f"column {column}"


def places(text: str, first: int, second: int) -> str:
    """Of two things that should be one: "in lines 3 and 9", "in columns 2 and 8"."""
    one, other = line_column(text, first), line_column(text, second)
    if one[0] != other[0]:
        return f"in lines {one[0]} and {other[0]}"
    columns = f"columns {one[1]} and {other[1]}"
    return f"in line {one[0]}, {columns}" if "\n" in text else f"in {columns}"
