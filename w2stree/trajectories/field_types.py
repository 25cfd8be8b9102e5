"""Dataclasses whose fields hold what they declare: a wrong type is told where it is given.

    temperature: float      "hot"   ──> temperature is 'hot'; give a number
    episodes: int | None     2.5    ──> episodes is 2.5; give a whole number or None

A configuration file is checked so already; this is for values from Python.
"""

from __future__ import annotations

import functools
import types
from dataclasses import fields, is_dataclass
from typing import Any, Union, get_args, get_origin, get_type_hints

from w2stree.errors import InvalidInput
from w2stree.trajectories.fields import shown

_WANTED = {
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    str: "a text",
    tuple: "a tuple of texts",
    type(None): "None",
}


def check_field_types(given: Any) -> None:
    """Raises `InvalidInput` for a field of another type than its dataclass declares.

    True is no number, a whole number is a number, a list is as good as a tuple; NumPy's own
    integers and float32 are neither, since they cannot be written to a run's JSON. Declarations of
    more than numbers, truth, texts, tuples of texts, dataclasses and None are not looked at.
    """
    for name, kinds in _declared(given.__class__):
        value = getattr(given, name)
        if type(value) not in kinds and not _is_one(value, kinds):
            wanted = " or ".join(map(_wanted, kinds))
            raise InvalidInput(f"{name} is {shown(value)}; give {wanted}")
        if isinstance(value, tuple | list):
            for i, text in enumerate(value):
                if not isinstance(text, str):
                    raise InvalidInput(f"{name}[{i}] is {shown(text)}; give a text")


@functools.cache
def _declared(kind: type[Any]) -> tuple[tuple[str, tuple[type, ...]], ...]:
    """The fields that are looked at, and what each may be."""
    hints = get_type_hints(kind)
    declared = ((field.name, _kinds(hints[field.name])) for field in fields(kind))
    return tuple((name, kinds) for name, kinds in declared if kinds)


def _kinds(hint: Any) -> tuple[type, ...]:
    """Empty where any of its alternatives is not looked at."""
    is_union = get_origin(hint) in (Union, types.UnionType)
    alternatives = get_args(hint) if is_union else (hint,)
    kinds = tuple(tuple if kind == tuple[str, ...] else kind for kind in alternatives)
    return kinds if all(kind in _WANTED or is_dataclass(kind) for kind in kinds) else ()


def _is_one(value: object, kinds: tuple[type, ...]) -> bool:
    if isinstance(value, bool):
        return bool in kinds
    wider = kinds + (int,) * (float in kinds) + (list,) * (tuple in kinds)
    return isinstance(value, wider)


def _wanted(kind: type) -> str:
    return _WANTED.get(kind) or f"a {kind.__name__}"
