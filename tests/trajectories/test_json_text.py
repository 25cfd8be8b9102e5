"""JSON from outside: strict, and every refusal with its place."""

from __future__ import annotations

import codecs
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from w2stree import InvalidInput
from w2stree.trajectories.json_text import parse_json

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)  # fmt: skip


@given(VALUES, st.sampled_from([None, 2]), st.booleans())
def test_reads_what_json_writes(value: Any, indent: int | None, is_ascii: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=is_ascii)
    assert parse_json(text, "x") == value
    assert parse_json("\ufeff" + text + "\r\n", "x") == value
    if is_ascii:
        assert parse_json(text.encode(), "x") == value
        assert parse_json(codecs.BOM_UTF8 + text.encode(), "x") == value


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"seed":1,"a":{"seed":2},"seed":3}', "the key 'seed' is given twice in one object, "
         "in columns 2 and 26"),
        ('{"a":[{"x":"\\"x\\":","x":1}]}', "the key 'x' is given twice in one object, "
         "in columns 8 and 21"),
        ('{\n "seed": 1,\n "b": {},\n "s\\u0065ed": 2\n}', "the key 'seed' is given twice in one "
         "object, in lines 2 and 4"),
        ('{\n"a":1,"a":2}', "the key 'a' is given twice in one object, in line 2, columns 1 and 7"),
        ('{"v":[1,NaN],"t":"NaN"}', "NaN at column 9 is no number of JSON"),
        ('{"t":"Infinity",\n"v":-Infinity}', "-Infinity at line 2, column 5 is no number of JSON"),
        ('{"a":1\n', "not valid JSON (column 7: Expecting ',' delimiter)"),
        ('{"ä":1}}', "not valid JSON (column 8: another value begins where the text should end)"),
        ('{"a":1}\r{"a":2}', "not valid JSON (column 9: another value): its lines end with a lone "
         r"carriage return: convert it with tr '\r' '\n'"),
        ("", "empty; expected JSON"),
        ('{"a":"x\0"}', "not valid JSON (column 8: a NUL byte in a text; JSON writes it as an "
         "escape)"),
        ('{"a":"x\t"}', r"not valid JSON (column 8: the control character '\t' in a text; JSON "
         "writes it as an escape)"),
        ("\0\0\0\0", "not valid JSON (column 1: NUL bytes, which a crash or a sparse copy leaves "
         "behind)"),
        ("[" * 100_000, "nested deeper than can be read as JSON"),
        ("1" * 5_000, "has a number of more than 4300 digits"),
    ],
)  # fmt: skip
def test_says_what_is_no_json_and_where(text: str, told: str) -> None:
    for given_text in (text, text.encode()):
        with pytest.raises(InvalidInput) as caught:
            parse_json(given_text, "runs/x:3")
        assert str(caught.value) == f"runs/x:3: {told}"


@pytest.mark.parametrize(
    ("encoding", "told"),
    [
        ("utf-16", "this is UTF-16: convert it with iconv -f UTF-16 -t UTF-8"),
        ("utf-16-le", "this is UTF-16: convert it with iconv -f UTF-16LE -t UTF-8"),
        ("utf-16-be", "this is UTF-16: convert it with iconv -f UTF-16BE -t UTF-8"),
        ("utf-32", "this is UTF-32: convert it with iconv -f UTF-32 -t UTF-8"),
        ("utf-32-be", "this is UTF-32: convert it with iconv -f UTF-32BE -t UTF-8"),
        ("latin-1", "not UTF-8 at line 2, column 8 (byte 0xe4): convert it to UTF-8, from Latin-1 "
         "for example with iconv -f WINDOWS-1252 -t UTF-8"),
    ],
)  # fmt: skip
def test_names_other_encodings(encoding: str, told: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_json('{\n"key":"ä"}'.encode(encoding), "x")
    assert str(caught.value) == f"x: {told}"


@given(st.binary() | st.text('{}[]",:\\ue01NaN\n\r\0\ufeff', max_size=40).map(str.encode))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        value = parse_json(data, "x")
    except InvalidInput as error:
        assert str(error).startswith("x: ")
    else:
        assert value == json.loads(data)
