"""Texts on one line, as wide as asked for."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from w2stree.shorten import excerpt, num_columns, quoted, shorten, visible, where_they_part


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


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("look\x1b[2J\x1b]0;title\x07", r"look\x1b[2J\x1b]0;title\x07"),
        ("\x9b2J\x90q\x9c\x85", r"\x9b2J\x90q\x9c\x85"),  # C1: CSI, DCS, ST, NEL
        ("\0 a\rb\tc\x7f", r"\x00 a\rb\tc\x7f"),
        ("go \u202ehtron\u202c \u2066x\u2069", r"go \u202ehtron\u202c \u2066x\u2069"),
        ("a\u200bb\u2060c\ufeff\u00ad", r"a\u200bb\u2060c\ufeff\xad"),
        ("a\u2028b\u2029c", r"a\u2028b\u2029c"),
        ("half \ud83d of it", r"half \ud83d of it"),
        ("tags \U000e0041", r"tags \U000e0041"),
        (r"C:\new and \x1b in letters", r"C:\new and \x1b in letters"),
        ("a\u00a0b 打开门 é 🙂 \ue000", "a\u00a0b 打开门 é 🙂 \ue000"),
    ],
)
def test_what_a_terminal_obeys_or_hides_is_shown(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert visible(f"{text}\n{text}") == rf"{shown}\n{shown}"
    assert visible(f"{text}\n{text}", keep_lines=True) == f"{shown}\n{shown}"


@given(st.text(alphabet=st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp", "L", "Zs", "S"])))
def test_nothing_shown_moves_a_cursor_or_is_out_of_sight(text: str) -> None:
    for shown in (visible(text), shorten(text, 30), quoted(text, 30)):
        hidden = {"Cc", "Cf", "Cs", "Zl", "Zp"} & {unicodedata.category(c) for c in shown}
        assert not hidden
        assert shown.encode().decode() == shown  # no half of a pair is left
    assert visible(visible(text)) == visible(text)


def test_an_excerpt_has_both_ends_and_says_what_lies_between() -> None:
    text = "the cause\n" + "x" * 30_000_000 + "\nthe place"
    shown = excerpt(text)
    assert shown.startswith("the cause\nxx") and shown.endswith("xx\nthe place")
    assert "… [29,996,020 characters left out] …" in shown
    assert len(shown) < 4_100
    assert excerpt("x" * 4_000) == "x" * 4_000
