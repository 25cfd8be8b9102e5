"""Reading a configuration: a YAML file or a shipped one, then overrides, then every check."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import ValidationError

from w2stree.errors import InvalidInput
from w2stree.experiment.config.complaints import complaints
from w2stree.experiment.config.layouts import todays_layout
from w2stree.experiment.config.yaml_text import DEEPEST, parse_yaml
from w2stree.experiment.section import Section
from w2stree.experiment.shipped import shipped_names
from w2stree.shorten import quoted

Kind = TypeVar("Kind", bound=Section)


def shipped_configs(kind: type[Section] = Section) -> list[str]:
    """Names of the configurations of a kind that come with the package: experiments unless told."""
    return shipped_names(kind.shipped_in)


def read_config(
    kind: type[Kind],
    source: str | Path,
    overrides: Sequence[str] = (),
    *,
    values: Mapping[str, Any] = MappingProxyType({}),
) -> Kind:
    """Read a YAML file or a shipped configuration by name, then apply `key.path=value`s, then
    `values`, by key.path.

    Raises `InvalidInput` naming the file, the key and what it should be.
    """
    file = _locate(kind, source)
    record = parse_yaml(file.read_bytes(), str(source))
    if not isinstance(record, dict):
        raise InvalidInput(f"{source}: expected keys and values, found {type(record).__name__}")
    _apply_all(record, overrides)
    for key, value in values.items():
        _set(record, key, copy.deepcopy(value), f"{key}: {value!r}")
    return check(kind, record, str(source))


def check(kind: type[Kind], record: Any, source: str) -> Kind:
    """The configuration that a record from `source` is; raises as `read_config`."""
    if _is_deep(record):
        raise InvalidInput(f"{source}: nested deeper than {DEEPEST}")
    try:
        config = kind.model_validate(record)
    except ValidationError as error:
        lines = [f"{source}: {complaint}" for complaint in complaints(error, kind)]
        raise InvalidInput("\n".join(lines)) from None
    if unwritable := list(_unwritable(config.model_dump())):
        raise InvalidInput("\n".join(f"{source}: {complaint}" for complaint in unwritable))
    return config


def recorded_today(config: Section) -> Callable[[Any], dict[str, Any]]:
    """Reads a run's recorded configuration as `config`'s kind records it today.

    Raises `InvalidInput` with what does not read.
    """

    def read(record: Any) -> dict[str, Any]:
        return check(type(config), todays_layout(record), "config.json").model_dump(mode="json")

    return read


def _locate(kind: type[Section], source: str | Path) -> Path:
    if Path(source).is_file():
        return Path(source)
    folder = resources.files("w2stree.experiment") / kind.shipped_in
    with resources.as_file(folder / f"{source}.yaml") as shipped:
        if shipped.is_file():
            return shipped
    raise InvalidInput(
        f"{source}: no such file, and no shipped configuration of that name "
        f"({', '.join(shipped_configs(kind))})"
    )


def _is_deep(record: Any) -> bool:
    level = [record]
    for _ in range(DEEPEST):
        level = [
            inner
            for value in level
            if isinstance(value, dict | list)
            for inner in (value.values() if isinstance(value, dict) else value)
        ]
    return bool(level)


def _unwritable(value: Any, key: str = "") -> Iterator[str]:
    """What a run could not record, or nothing can be done with, by key: `.inf` and `.nan`, and
    halves of characters."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _unwritable(inner, f"{key}.{name}".removeprefix("."))
    elif isinstance(value, list | tuple):
        for i, inner in enumerate(value):
            yield from _unwritable(inner, f"{key}[{i}]")
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{key}: is {value}; give a finite number"
    elif isinstance(value, str) and any("\ud800" <= c <= "\udfff" for c in value):
        yield f"{key}: is {quoted(value, 60)}, with half a character; give whole ones"


def _apply_all(record: dict[str, Any], overrides: Sequence[str]) -> None:
    given: dict[str, str] = {}
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals or not key:
            raise InvalidInput(f"override {override!r}: write key.path=value")
        for before in given:
            if f"{before}.".startswith(f"{key}."):
                raise InvalidInput(
                    f"override {override!r}: {given[before]!r} is given too, and it would be lost"
                )
        given[key] = override
        _apply(record, key, value, override)


def _apply(record: dict[str, Any], key: str, value: str, override: str) -> None:
    _set(record, key, parse_yaml(value, f"override {override!r}"), f"override {override!r}")


def _set(record: dict[str, Any], key: str, value: Any, told: str) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        record = record.setdefault(parent, {})
        if not isinstance(record, dict):
            raise InvalidInput(f"{told}: {parent!r} is a value, not a section")
    record[last] = value
