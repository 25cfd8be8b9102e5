"""Keys of a recorded configuration, and where two recorded configurations differ in them.

A key is a path of names, "strong.pretrain.optimisation"; "" is the whole configuration, and
`seeds.STAGE` the seed that a stage draws with: `seed`, where `seeds` does not name the stage.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from w2stree.shorten import shorten, visible

SEEDS = "seeds."

_COLUMNS = 80  # of a value


@dataclass(frozen=True, slots=True)
class Change:
    """A key whose value is another now."""

    key: str
    before: Any
    now: Any

    def __str__(self) -> str:
        before, now = (shorten(repr(value), _COLUMNS) for value in (self.before, self.now))
        return f"{visible(self.key)}: {before} there, {now} now"


def changes(
    before: Any, now: Any, *, of: Collection[str] = ("",), but: Collection[str] = ()
) -> list[Change]:
    """Where two recorded configurations differ in keys of `of` and below, `but` for some keys and
    what is below those; each key once."""
    found: dict[str, Change] = {}
    for key in of:
        for change in _changes(value_at(before, key), value_at(now, key), key, but):
            found.setdefault(change.key, change)
    return list(found.values())


def values(config: Any, *, of: Collection[str], but: Collection[str] = ()) -> dict[str, Any]:
    """What a recorded configuration has at keys of `of`, without the keys of `but` in it."""
    return {key: _without(value_at(config, key), key, but) for key in of}


def value_at(config: Any, key: str) -> Any:
    """The value of a key of a recorded configuration; None where there is none."""
    value = config
    for name in key.split(".") if key else ():
        value = value.get(name) if isinstance(value, Mapping) else None
    if value is None and key.startswith(SEEDS):
        return value_at(config, "seed")
    return value


def _changes(before: Any, now: Any, key: str, but: Collection[str]) -> Iterator[Change]:
    if is_within(key, but):
        return
    if isinstance(before, dict) and isinstance(now, dict):
        for name in sorted({*before, *now}):
            inner = f"{key}.{name}" if key else name
            yield from _changes(before.get(name), now.get(name), inner, but)
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for i in range(len(now)):
            yield from _changes(before[i], now[i], f"{key}[{i}]", but)
    elif before != now and json.dumps(before) != json.dumps(now):  # NaN is NaN
        yield Change(key, before, now)


def _without(value: Any, key: str, but: Collection[str]) -> Any:
    if is_within(key, but):
        return None
    if not isinstance(value, Mapping):
        return value
    inner = {name: f"{key}.{name}" if key else name for name in value}
    return {
        name: _without(value[name], at, but) for name, at in inner.items() if not is_within(at, but)
    }


def is_within(key: str, keys: Collection[str]) -> bool:
    """Whether a key is one of these, or below one."""
    return any(not above or key == above or key.startswith(_below(above)) for above in keys)


def _below(key: str) -> tuple[str, str]:
    return f"{key}.", f"{key}["
