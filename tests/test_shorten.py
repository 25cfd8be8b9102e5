"""Texts on one line, as wide as asked for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from w2stree.shorten import num_columns, quoted, shorten, where_they_part


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("take key", 8, "take key"),
        ("take keys", 8, "take ke…"),
        ("You\n\n see\ta  hall.\n", 30, "You see a hall."),
        ("打开门", 6, "打开门"),
        ("打开门!", 6, "打开…"),
        ("打开门", 5, "打开…"),
        ("a打开门", 6, "a打开…"),
        ("abc", 1, "…"),
        ("打", 1, "…"),
        ("", 3, ""),
    ],
)
def test_fits_the_width(text: str, width: int, shown: str) -> None:
    assert shorten(text, width) == shown


@given(st.text(alphabet=st.sampled_from("ab 打ア\n\u2028\uff57…")), st.integers(1, 12))
def test_is_the_longest_beginning_that_fits(text: str, width: int) -> None:
    line, shown = " ".join(text.split()), shorten(text, width)
    if num_columns(line) <= width:
        assert shown == line
    else:
        kept = shown.removesuffix("…")
        assert line.startswith(kept) and len(kept) < len(shown)
        assert num_columns(shown) <= width < num_columns(line[: len(kept) + 1]) + 1


def test_quoted_shows_every_space_and_line_break() -> None:
    assert quoted("a  b\n", 10) == r"'a  b\n'"
    assert quoted("a  b\n", 4) == "'a  …'"
    assert quoted("打开门", 5) == "'打开…'"


def test_what_differs_first_is_shown_with_a_little_before_it() -> None:
    assert where_they_part("abcdef", "abcxyz", before=2) == 1
    assert where_they_part("abc", "abcd", before=2) == 1
    assert where_they_part("abc", "xyz") == where_they_part("", "a") == 0
