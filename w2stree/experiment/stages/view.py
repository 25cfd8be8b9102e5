"""What a stage sees of the configuration: the keys that it declares, and no other.

StageSpec.reads = ("merge", "strong.pretrain.optimisation", "seeds.pretrain")

config.merge              the value itself: the whole section is declared
config.strong.pretrain    a view of the section, in which `optimisation` alone can be read
config.search             LookupError: no change of it would redo the stage
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields, is_dataclass
from types import FunctionType, MethodType
from typing import Any

from pydantic import BaseModel

from w2stree.experiment.changes import SEEDS, is_within


class View:
    """A section of a configuration, or a whole one, of which declared keys alone can be read.

    Stands in for the section: its methods and properties see no more than it shows.
    """

    def __init__(self, section: Any, keys: Collection[str], reader: str, at: str = "") -> None:
        self._section, self._keys, self._reader, self._at = section, keys, reader, at

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # of Python's own, which copying and printing look for
            raise AttributeError(name)
        if name not in _names(self._section):
            return self._of_class(name)
        key = f"{self._at}.{name}" if self._at else name
        value = getattr(self._section, name)
        if is_within(key, self._keys):
            return value
        if any(declared.startswith(f"{key}.") for declared in self._keys):
            return View(value, self._keys, self._reader, key) if _names(value) else value
        raise self._undeclared(key)

    def seed_of(self, stage: str) -> int:
        """`Config.seed_of`, of a stage whose seed is declared."""
        if not is_within(f"{SEEDS}{stage}", self._keys):
            raise self._undeclared(f"{SEEDS}{stage}")
        seed: int = self._section.seed_of(stage)
        return seed

    def _of_class(self, name: str) -> Any:
        found = getattr(type(self._section), name)
        if isinstance(found, property):
            assert found.fget is not None
            return found.fget(self)
        return MethodType(found, self) if isinstance(found, FunctionType) else found

    def _undeclared(self, key: str) -> LookupError:
        return LookupError(
            f"the stage {self._reader} reads {key}, which its StageSpec.reads does not have: a "
            "change of it would not redo the stage"
        )


def _names(section: Any) -> Collection[str]:
    """The keys of a section; none of a plain value."""
    if isinstance(section, BaseModel):
        return type(section).model_fields
    if is_dataclass(section) and not isinstance(section, type):
        return {field.name for field in fields(section)}
    return ()
