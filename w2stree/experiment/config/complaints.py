"""What is wrong with a configuration, in words of the file: the key, what it has, what it may be.

pydantic finds the mistakes and says where; its own words speak of inputs, tags and tuples.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ValidationError

from w2stree.experiment.config.layouts import GONE, MOVED
from w2stree.shorten import shorten

_WANTED = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "text",
    "path": "a path",
    "tuple": "a list",
    "list": "a list",
    "dict": "keys and values",
    "mapping": "keys and values",
    "model": "keys and values",
    "dataclass": "keys and values",
    "finite": "a finite number",
}
_BOUNDS = {
    "greater_than": "a number above {gt}",
    "greater_than_equal": "a number of at least {ge}",
    "less_than": "a number below {lt}",
    "less_than_equal": "a number of at most {le}",
}


def complaints(error: ValidationError, section: type[BaseModel]) -> list[str]:
    """A line for each mistake: `key.path: what is wrong`."""
    mistakes = error.errors()
    # A list is too short for pydantic where its entries are wrong, too.
    wrong_entries = {m["loc"][:-depth] for m in mistakes for depth in range(1, len(m["loc"]))}
    told = [
        _complaint(mistake, section)
        for mistake in mistakes
        if not (mistake["type"] == "too_short" and mistake["loc"] in wrong_entries)
    ]
    return _of_alternatives(told)


def _of_alternatives(told: Sequence[str]) -> list[str]:
    """One complaint of each value, where each of the types it may have complains of it.

    x.a: is [1]; give a number     x.a: is [1]; give text  ->  x.a: is [1]; give a number, or text
    """
    merged: dict[str, str] = {}
    for complaint in told:
        value, _, wanted = complaint.partition("; ")
        if wanted and value in merged:
            merged[value] += f", or {wanted.removeprefix('give ')}"
        else:
            merged[value] = complaint
    return list(merged.values())


def _complaint(mistake: Mapping[str, Any], section: type[BaseModel]) -> str:
    keys, classes = _place(mistake["loc"], section)
    kind, given, context = mistake["type"], mistake["input"], mistake.get("ctx", {})
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        _, siblings = _place(mistake["loc"][:-1], section)
        return _unknown_key(keys, siblings)
    if kind in ("missing", "missing_argument"):
        return f"{'.'.join(keys)}: is missing"
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        # The tag is a key of the section: `name`.
        tag = context["discriminator"].strip("'")
        known = [str(value) for cls in classes for value in get_args(_fields(cls)[tag])]
        told = given.get(tag) if isinstance(given, dict) else given
        return f"{'.'.join([*keys, tag])}: {_not_one_of(told, known)}"
    if kind == "value_error" and not keys:  # of how sections go together: it names their keys
        return str(context["error"])
    where = ".".join(keys) or "the file"
    if kind == "value_error":
        return f"{where}: {context['error']}"
    return f"{where}: {_wrong_value(kind, given, context, mistake['msg'], classes)}"


def _unknown_key(keys: Sequence[str], classes: Sequence[Any]) -> str:
    where = ".".join(keys)
    if where in MOVED:
        return f"{where}: has moved: write {MOVED[where]}"
    if where in GONE:
        return f"{where}: {GONE[where]}"
    known = [name for cls in classes for name in _fields(cls)]
    return f"{where}: no such key; {_suggestion(keys[-1], known)}known are {', '.join(known)}"


def _wrong_value(
    kind: str, given: Any, context: Mapping[str, Any], message: str, classes: Sequence[Any]
) -> str:
    if kind == "literal_error":
        literals = [cls for cls in classes if get_origin(cls) is Literal]
        return _not_one_of(given, [str(value) for cls in literals for value in get_args(cls)])
    if kind == "too_short":
        return f"has {context['actual_length']}; give at least {context['min_length']}"
    if kind in _BOUNDS:
        return f"is {_shown(given)}; give {_BOUNDS[kind].format_map(context)}"
    if kind == "model_attributes_type":
        return f"is {_shown(given)}; give keys and values"
    wanted = _WANTED.get(kind.partition("_")[0])
    return message if wanted is None else f"is {_shown(given)}; give {wanted}"


def _not_one_of(given: Any, known: Sequence[str]) -> str:
    if given is None:
        return f"is missing; use one of {', '.join(known)}"
    return f"is {_shown(given)}; {_suggestion(str(given), known)}use one of {', '.join(known)}"


def _suggestion(given: str, known: Sequence[str]) -> str:
    nearest = difflib.get_close_matches(given, known, n=1)
    return f"did you mean {nearest[0]}? " if nearest else ""


def _shown(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return json.dumps(value)  # as YAML writes it
    return shorten(repr(value), 60)


def _place(location: Sequence[int | str], section: type[BaseModel]) -> tuple[list[str], list[Any]]:
    """The keys as the file has them, and the types of what may stand there.

    Among an environment's or a policy's kinds pydantic puts the kind's name into the location,
    among other alternatives the type (`tuple[str, ...]`), and `[key]` where a key is wrong: the
    file has no such keys.
    """
    keys: list[str] = []
    here: list[Any] = [section]
    for part in location:
        tagged = [cls for cls in here if part in get_args(_fields(cls).get("name"))]
        if len(here) > 1 and tagged:
            here = tagged
            continue
        within = [inner for cls in here for inner in _within(cls, part)]
        if part == "[key]" or (len(here) > 1 and not within):
            continue
        keys.append(str(part))
        here = within
    return keys, here


def _within(kind: Any, part: int | str) -> Iterator[Any]:
    """The types of what stands at a key or a number within a type."""
    if get_origin(kind) is dict:
        yield from _alternatives(get_args(kind)[1])
    elif get_origin(kind) in (tuple, list):
        if isinstance(part, int):
            yield from _alternatives(get_args(kind)[0])
    elif (field := _fields(kind).get(str(part))) is not None:
        yield from _alternatives(field)


def _alternatives(kind: Any) -> Iterator[Any]:
    if get_origin(kind) is Literal or not get_args(kind) or get_origin(kind) in (tuple, list, dict):
        yield kind
    else:  # a union
        for alternative in get_args(kind):
            if alternative is not type(None):
                yield from _alternatives(alternative)


def _fields(kind: Any) -> dict[str, Any]:
    """The types of a section's or a dataclass's keys; none for anything else."""
    if dataclasses.is_dataclass(kind):
        names = [field.name for field in dataclasses.fields(kind)]
    elif isinstance(kind, type) and issubclass(kind, BaseModel):
        names = list(kind.model_fields)
    else:
        return {}
    hints = get_type_hints(kind)
    return {name: hints[name] for name in names}
