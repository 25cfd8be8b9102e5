"""Values that can be written as JSON and read again equal: one rule for each kind of field.

    kind     taken                                          kept as      refused
    text     str                                            str          bytes, None, …
    number   float, int, NumPy's scalars; finite            float        bool, NaN, infinity, text
    integer  int, NumPy's; at most 640 digits               int          bool, 1.0, text
    truth    bool, NumPy's                                  bool         0, 1, None, text
    array    tuple, list; NumPy's of numbers, one dimension tuple        sets, generators, …
    plain    whatever JSON knows, made of these; objects    dict, list   keys that are no text, more
             by text; at most 200 levels                                 than that

A subclass (an enumeration's member) is kept as what it is a subclass of. The two halves of a
surrogate pair, one after the other, are the character that they spell, since JSON reads them so;
a half alone stays. What is refused raises `InvalidInput` naming the field and what was expected;
whoever knows the file and the line puts them in front.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from operator import countOf
from typing import Any, TypeVar

import numpy as np

from w2stree.errors import InvalidInput
from w2stree.shorten import shorten, visible

Record = dict[str, Any]
T = TypeVar("T")

MAX_LEVELS = 200
"""Of arrays and objects within one another: JSON's readers have a limit that depends on who calls
them, and this is well below it."""

_MAX_BITS = 2_126  # of 640 digits: what every Python reads, however its own limit is set
_SHOWN_COLUMNS = 60
_SHOWN_PLACE = 200  # columns of keys within one another


def mapping(value: Any, name: str) -> Record:
    if not isinstance(value, dict):
        raise InvalidInput(f"{name} is {type(value).__name__}; expected an object")
    return value


def array(value: Any, name: str) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        raise InvalidInput(f"{name} is {type(value).__name__}; expected an array")
    return value


def texts(record: Any, *names: str) -> None:
    """Checks these fields of a frozen dataclass; O(1) for each that is ASCII."""
    for name in names:
        value = getattr(record, name)
        if type(value) is not str or not value.isascii():
            object.__setattr__(record, name, text(value, name))


def keep(record: Any, name: str, read: Callable[[Any, str], Any]) -> None:
    """Checks a field of a frozen dataclass by one of the rules here, and keeps what it gives."""
    value = getattr(record, name)
    own = read(value, name)
    if own is not value:
        object.__setattr__(record, name, own)


def text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise InvalidInput(f"{name} is {type(value).__name__}; expected a string")
    own: str = str.__str__(value)
    try:
        own.encode("utf-8")
    except UnicodeEncodeError:  # halves of surrogate pairs: those that meet are one character
        return own.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    return own


def truth(value: Any, name: str) -> bool:
    if isinstance(value, bool | np.bool_):
        return bool(value)
    raise InvalidInput(f"{name} is {shown(value)}; expected true or false")


def integer(value: Any, name: str) -> int:
    given = _of_numpy(value)
    if not isinstance(given, int) or isinstance(given, bool):
        raise InvalidInput(f"{name} is {shown(value)}; expected an integer")
    if given.bit_length() > _MAX_BITS:
        raise InvalidInput(f"{name} has {given.bit_length()} bits; expected at most 640 digits")
    return int.__int__(given)


def number(value: Any, name: str) -> float:
    if type(value) is float and math.isfinite(value):
        return value
    given = _of_numpy(value)
    try:
        if isinstance(given, int | float) and not isinstance(given, bool):
            own = float.__float__(given) if isinstance(given, float) else float(int(given))
            if math.isfinite(own):
                return own
    except OverflowError:  # an integer beyond the floats
        pass
    raise InvalidInput(f"{name} is {shown(value)}; expected a finite number")


def integers(values: Any, name: str) -> tuple[int, ...]:
    """Many of them at little cost: those that are as they should be are not looked at singly."""
    given = _listed(values, name)
    if _are_usual(int, given):
        return given
    return tuple(integer(value, f"{name}[{i}]") for i, value in enumerate(given))


def numbers(values: Any, name: str) -> tuple[float, ...]:
    given = _listed(values, name)
    if _are_usual(float, given):
        return given
    return tuple(number(value, f"{name}[{i}]") for i, value in enumerate(given))


def items(values: Any, name: str, kind: type[T]) -> tuple[T, ...]:
    """A tuple of one dataclass, no subclass of it: that would not be read back."""
    given = tuple(array(values, name))
    for i, value in enumerate(given):
        if type(value) is not kind:
            raise InvalidInput(f"{name}[{i}] is {shown(value)}; expected {kind.__name__}")
    return given


def plain(value: Any, name: str) -> Any:
    """A copy of what JSON knows, made of Python's own dicts, lists, texts, numbers and truths."""
    try:
        return _plain(value, MAX_LEVELS)
    except _Unwritable as error:
        place = shorten(error.place, _SHOWN_PLACE)
        raise InvalidInput(f"{name}{place}: {error.reason}") from None


def refuse_unknown(record: Record, kind: type[Any]) -> None:
    """Raises for a field that the dataclass `kind` does not have."""
    known = kind.__dataclass_fields__
    if not record.keys() <= known.keys():
        unknown = sorted(set(record) - set(known))
        raise InvalidInput(f"unknown field {shown(unknown[0])}; fields are {', '.join(known)}")


def shown(value: Any) -> str:
    """A value for an error: short, on one line, whatever its own `repr` does."""
    try:
        if isinstance(value, str | bytes):
            value = value[:_SHOWN_COLUMNS]
        return shorten(repr(value), _SHOWN_COLUMNS)
    except Exception:  # endless digits or nesting, or a class whose text fails
        return visible(f"a {type(value).__name__}")


def _listed(values: Any, name: str) -> tuple[Any, ...]:
    if type(values) is tuple:
        return values
    if isinstance(values, np.ndarray) and values.dtype.kind in "iuf":  # as samplers give ids
        if values.ndim != 1:
            raise InvalidInput(f"{name} has {values.ndim} dimensions; expected one")
        return tuple(values.tolist())
    return tuple(array(values, name))


def _are_usual(kind: type, values: Sequence[Any]) -> bool:
    """Whether all are of this type, and of a size that floats have: two passes in C."""
    try:
        return countOf(map(type, values), kind) == len(values) and math.isfinite(sum(values, 0.0))
    except OverflowError:
        return False


class _Unwritable(Exception):  # noqa: N818 (told as InvalidInput)
    def __init__(self, reason: str) -> None:
        self.reason, self.place = reason, ""


def _plain(value: Any, levels: int) -> Any:
    value = _of_numpy(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str | int | float):
        try:
            if isinstance(value, float):
                return _finite(value)
            return text(value, "it") if isinstance(value, str) else integer(value, "it")
        except InvalidInput as error:
            raise _Unwritable(str(error)) from None
    if not isinstance(value, list | tuple | Mapping):
        raise _Unwritable(f"{shown(value)} is {type(value).__name__}, which JSON does not know")
    if not levels:
        raise _Unwritable(
            f"more than {MAX_LEVELS} levels of arrays and objects; give what is deeper as JSON text"
        )
    if isinstance(value, Mapping):
        return _plain_object(value, levels)
    return [_within(f"[{i}]", item, levels) for i, item in enumerate(value)]


def _plain_object(value: Mapping[Any, Any], levels: int) -> Record:
    record: Record = {}
    for key, item in value.items():
        if not isinstance(key, str):
            raise _Unwritable(f"the key {shown(key)} is {type(key).__name__}; expected a string")
        if (own := text(key, "key")) in record:
            raise _Unwritable(f"the key {shown(key)} is there twice")
        record[own] = _within(f"[{shown(key)}]", item, levels)
    return record


def _within(place: str, value: Any, levels: int) -> Any:
    try:
        return _plain(value, levels - 1)
    except _Unwritable as error:
        error.place = place + error.place
        raise


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise _Unwritable(f"{value} is no number of JSON")
    return float.__float__(value)


def _of_numpy(value: Any) -> Any:
    """Python's own number or truth for a scalar of NumPy's, exactly the same one."""
    if isinstance(value, np.generic):
        own = value.item()
        return own if type(own) in (bool, int, float, str) else value
    return value
