"""JSON from outside, read strictly: what it says twice or cannot say is refused, by its place.

{"seed": 1, … "seed": 2}        twice      ┐
{"total_return": NaN}           no JSON    ├─> InvalidInput: where, line and column
{"info": [[[[[[ …               too deep   ┘
"""

from __future__ import annotations

import codecs
import json
import re
import sys
from collections.abc import Callable
from typing import Any

from w2stree.errors import InvalidInput
from w2stree.trajectories.utf8 import decode_utf8


def parse_json(text: str | bytes, where: str, *, with_nan: bool = False) -> Any:
    """The value that one JSON text is; bytes are UTF-8. A byte order mark before it is no part.

    Raises `InvalidInput`, beginning with `where` and naming line and column (of a text on one
    line the column), for another encoding, for anything that is not JSON (NaN and Infinity among
    it), for a key given twice in one object, with both places, and for numbers and nesting beyond
    what can be read. Numbers beyond the floats (1e999) are infinite, as Python reads them. With
    `with_nan` NaN and Infinity are read: figures of a training that diverged. Cost: that of
    `json.loads` and a call for each object.
    """
    text = decode_utf8(text, where) if isinstance(text, bytes) else text.removeprefix("\ufeff")
    text = text.rstrip(" \t\r\n")
    try:
        return (_DECODER_WITH_NAN if with_nan else _DECODER).decode(text)
    except json.JSONDecodeError as error:
        raise InvalidInput(f"{where}: {_not_json(text, error)}") from None
    except _Refused as error:
        raise InvalidInput(f"{where}: {error.tell(text)}") from None
    except RecursionError:
        raise InvalidInput(f"{where}: nested deeper than can be read as JSON") from None
    except ValueError:  # Python's own limit
        limit = sys.get_int_max_str_digits()
        raise InvalidInput(f"{where}: has a number of more than {limit} digits") from None


def is_cut(data: bytes) -> bool:
    """Whether a line is the beginning of a JSON object and no more, as an interrupted write leaves
    it: nothing in it is wrong, and it is not whole. Zeros after it, which a power cut may leave,
    are no part of it."""
    try:
        # One character may be cut too.
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(data.rstrip(b"\0 \t\r\n"))
        _DECODER.decode(text)
    except json.JSONDecodeError as error:
        return text.lstrip().startswith("{") and _is_at_end(text, error)
    except (_Refused, ValueError, RecursionError):
        return False
    return False


def _is_at_end(text: str, error: json.JSONDecodeError) -> bool:
    for begin, rest in _CUT_AT.items():
        if error.msg.startswith(begin):
            return rest.fullmatch(text, error.pos) is not None
    return error.pos >= len(text)


def num_lines_of_first(data: bytes) -> int:
    """Over how many lines the first JSON value is spread; 0 where there is none."""
    text = data.decode("utf-8", errors="replace").removeprefix("\ufeff").lstrip()
    try:
        _, end = _DECODER.raw_decode(text)
    except (_Refused, ValueError, RecursionError):
        return 0
    return text.count("\n", 0, end) + 1


class _Refused(Exception):  # noqa: N818 (no error of ours: it becomes one)
    """Seen by a hook of the decoder, which does not know where it stands."""

    def __init__(self, tell: Callable[[str], str]) -> None:
        self.tell = tell


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        raise _Refused(_twins)
    return record


def _no_constant(name: str) -> Any:
    raise _Refused(lambda text: f"{name} at {_first_constant(text)} is no number of JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_without_twins, parse_constant=_no_constant)
_DECODER_WITH_NAN = json.JSONDecoder(object_pairs_hook=_without_twins)

_CUT_AT = {
    "Unterminated string": re.compile(".*", re.DOTALL),
    "Invalid \\uXXXX escape": re.compile(r"\\?u?[0-9a-fA-F]{0,4}"),
    "Expecting value": re.compile("|t|tr|tru|f|fa|fal|fals|n|nu|nul|-"),
    "Expecting ',' delimiter": re.compile(r"|(?<=[0-9])(\.|[eE][+-]?)"),  # within a number
}
"""By what the decoder says: what may stand from there on where a text was cut; else nothing may."""

_TOKEN = re.compile(
    r"""(?P<text>"[^"\\]*(?:\\.[^"\\]*)*")(?P<is_key>[ \t\r\n]*:)?"""
    r"""|(?P<begin>\{)|(?P<end>\})|(?P<constant>-?Infinity|NaN)"""
)
"""What tells keys from other texts: read only where an object, or a constant, was refused."""


def _twins(text: str) -> str:
    objects: list[dict[str, int]] = []
    for token in _TOKEN.finditer(text):
        if token["begin"]:
            objects.append({})
        elif token["end"]:
            objects.pop()
        elif token["is_key"]:
            key = json.loads(token["text"])
            if key in objects[-1]:
                places = _both(text, objects[-1][key], token.start())
                return f"the key {key!r} is given twice in one object, {places}"
            objects[-1][key] = token.start()
    return "a key is given twice in one object"  # not reached: the decoder saw it


def _first_constant(text: str) -> str:
    found = (token.start() for token in _TOKEN.finditer(text) if token["constant"])
    return _place(text, next(found, 0))


def _not_json(text: str, error: json.JSONDecodeError) -> str:
    place = _place(text, error.pos)
    if not text:
        return "empty; expected JSON"
    if error.msg.startswith("Invalid control character"):
        character = text[error.pos]
        name = "a NUL byte" if character == "\0" else f"the control character {character!r}"
        return f"not valid JSON ({place}: {name} in a text; JSON writes it as an escape)"
    if text[error.pos : error.pos + 1] == "\0":
        return f"not valid JSON ({place}: NUL bytes, which a crash or a sparse copy leaves behind)"
    if error.msg == "Extra data":
        if "\r" in text[: error.pos].rpartition("\n")[2]:
            return (
                f"not valid JSON ({place}: another value): its lines end with a lone "
                r"carriage return: convert it with tr '\r' '\n'"
            )
        return f"not valid JSON ({place}: another value begins where the text should end)"
    return f"not valid JSON ({place}: {error.msg})"


def _both(text: str, first: int, second: int) -> str:
    one, other = _line_column(text, first), _line_column(text, second)
    if "\n" not in text:
        return f"in columns {one[1]} and {other[1]}"
    if one[0] == other[0]:
        return f"in line {one[0]}, columns {one[1]} and {other[1]}"
    return f"in lines {one[0]} and {other[0]}"


def _place(text: str, position: int) -> str:
    line, column = _line_column(text, position)
    return f"line {line}, column {column}" if "\n" in text else f"column {column}"


def _line_column(text: str, position: int) -> tuple[int, int]:
    """Both from 1; columns are characters."""
    before = text[:position]
    return before.count("\n") + 1, position - before.rfind("\n")
