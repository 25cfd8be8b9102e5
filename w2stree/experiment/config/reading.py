"""Reading a configuration: a YAML file or a shipped one, then overrides, then every check."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from w2stree.errors import InvalidInput
from w2stree.experiment.config.complaints import complaints
from w2stree.experiment.config.layouts import todays_layout
from w2stree.experiment.section import Section

Kind = TypeVar("Kind", bound=Section)


def shipped_configs(kind: type[Section] = Section) -> list[str]:
    """Names of the configurations of a kind that come with the package: experiments unless told."""
    folder = resources.files("w2stree.experiment") / kind.shipped_in
    return sorted(
        f.name.removesuffix(".yaml") for f in folder.iterdir() if f.name.endswith(".yaml")
    )


def read_config(kind: type[Kind], source: str | Path, overrides: Sequence[str] = ()) -> Kind:
    """Read a YAML file or a shipped configuration by name, then apply `key.path=value`s.

    Raises `InvalidInput` naming the file, the key and what it should be.
    """
    file = _locate(kind, source)
    try:
        record = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise InvalidInput(f"{source}: not valid YAML: {_one_line(error)}") from None
    if not isinstance(record, dict):
        raise InvalidInput(f"{source}: expected keys and values, found {type(record).__name__}")
    for override in overrides:
        _apply(record, override)
    return check(kind, record, str(source))


def check(kind: type[Kind], record: Any, source: str) -> Kind:
    """The configuration that a record from `source` is; raises as `read_config`."""
    try:
        return kind.model_validate(record)
    except ValidationError as error:
        lines = [f"{source}: {complaint}" for complaint in complaints(error, kind)]
        raise InvalidInput("\n".join(lines)) from None


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


def _apply(record: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    if not equals or not key:
        raise InvalidInput(f"override {override!r}: write key.path=value")
    *parents, last = key.split(".")
    for parent in parents:
        record = record.setdefault(parent, {})
        if not isinstance(record, dict):
            raise InvalidInput(f"override {override!r}: {parent!r} is a value, not a section")
    try:
        record[last] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise InvalidInput(f"override {override!r}: not a YAML value: {_one_line(error)}") from None


def _one_line(error: yaml.YAMLError) -> str:
    return " ".join(str(error).split())
