"""Fields of a JSON record, typed: each reader names place, field and what was expected."""

from __future__ import annotations

import math
from typing import Any

from w2stree.errors import InvalidInput

Record = dict[str, Any]


def mapping(value: Any, where: str, name: str) -> Record:
    if not isinstance(value, dict):
        raise InvalidInput(f"{where}: {name} is {type(value).__name__}; expected an object")
    return value


def array(record: Record, key: str, where: str) -> list[Any]:
    value = record.get(key)
    if not isinstance(value, list):
        raise InvalidInput(f"{where}: {key} is {type(value).__name__}; expected an array")
    return value


def text(record: Record, key: str, where: str, default: str | None = None) -> str:
    value = record.get(key, default)
    if not isinstance(value, str):
        raise InvalidInput(f"{where}: {key} is {type(value).__name__}; expected a string")
    return value


def truth(record: Record, key: str, where: str) -> bool:
    """False where the record does not say."""
    value = record.get(key)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise InvalidInput(f"{where}: {key} is {value!r}; expected true or false")
    return value


def integer(record: Record, key: str, where: str) -> int:
    value = record.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidInput(f"{where}: {key} is {value!r}; expected an integer")
    return value


def number(record: Record, key: str, where: str) -> float:
    value = record.get(key)
    try:
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
    except OverflowError:  # an integer beyond the floats
        pass
    raise InvalidInput(f"{where}: {key} is {value!r}; expected a finite number")


def optional_numbers(
    record: Record, key: str, where: str, kind: type[Any]
) -> tuple[Any, ...] | None:
    values = record.get(key)
    if values is None:
        return None
    for i, value in enumerate(array(record, key, where)):
        is_kind = isinstance(value, int) if kind is int else isinstance(value, int | float)
        if isinstance(value, bool) or not is_kind:
            raise InvalidInput(f"{where}: {key}[{i}] is {value!r}; expected {kind.__name__}")
    return tuple(kind(v) for v in values)


def refuse_unknown(record: Record, kind: type[Any], where: str) -> None:
    """Raises for a field that the dataclass `kind` does not have."""
    unknown = sorted(set(record) - set(kind.__dataclass_fields__))
    if unknown:
        known = ", ".join(kind.__dataclass_fields__)
        raise InvalidInput(f"{where}: unknown field {unknown[0]!r}; fields are {known}")
