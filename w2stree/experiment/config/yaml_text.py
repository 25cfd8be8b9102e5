"""YAML from outside, read strictly: plain values, and each key once.

seed: 1                   twice        ┐
model: &m [*m]            holds itself ├─> InvalidInput: where, and the lines
a: [*b, *b, *b] …         without end  ┘
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import yaml

from w2stree.errors import InvalidInput
from w2stree.trajectories.place import place, places
from w2stree.trajectories.utf8 import decode_utf8

DEEPEST = 64
"""Mappings and lists within one another; a configuration has a handful."""

_MOST_VALUES = 100_000  # with every anchor written out; a long configuration has hundreds


def parse_yaml(text: str | bytes, where: str) -> Any:
    """The value of one YAML document; bytes are UTF-8. What anchors share is a copy at each place.

    Raises `InvalidInput`, beginning with `where` and naming lines (of a text on one line columns),
    for another encoding, for what is not YAML, for a key given twice in one mapping (beside a
    merge key, `<<`, a key replaces what is merged), for an anchor that holds itself, for nesting
    and anchors without end, and for values that their tag or form cannot be (`2026-02-30`).
    """
    text = decode_utf8(text, where) if isinstance(text, bytes) else text
    try:
        loader = _Loader(text)
        return _unshared(loader.get_single_data())
    except _Refused as error:
        raise InvalidInput(f"{where}: {error}") from None
    except yaml.MarkedYAMLError as error:
        told = ", ".join(part for part in (error.context, error.problem) if part)
        told += " (indent with spaces)" if "'\\t'" in told else ""
        raise InvalidInput(f"{where}: not valid YAML: {told}{_at(error, text)}") from None
    except yaml.reader.ReaderError as error:
        raise InvalidInput(
            f"{where}: not valid YAML: the character U+{error.character:04X} at "
            f"{place(text, error.position)}; write it as an escape in double quotes"
        ) from None


class _Refused(Exception):  # noqa: N818 (no error of ours: it becomes one)
    """In words, with the place."""


class _Loader(yaml.SafeLoader):
    """Looks at what is composed, before anything is made of it and merge keys are written out."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._text = text
        self._depth = 0
        self._num_values: dict[int, int] = {}  # of a node, written out

    def compose_node(self, parent: Any, index: Any) -> Any:
        is_alias = self.check_event(yaml.AliasEvent)
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        self._depth += 1
        if self._depth > DEEPEST:
            raise _Refused(f"nested deeper than {DEEPEST} at {self._place(mark)}")
        node: Any = super().compose_node(parent, index)
        self._depth -= 1
        if is_alias and id(node) not in self._num_values:
            raise _Refused(f"the anchor at {self._place(node.start_mark)} holds itself")
        self._count(node, mark)
        return node

    def compose_mapping_node(self, anchor: Any) -> Any:
        node = super().compose_mapping_node(anchor)
        first: dict[Hashable, Any] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _Refused(f"the key at {self._place(key.start_mark)} is no plain value")
            is_merge = key.tag == "tag:yaml.org,2002:merge"
            value = key.value if is_merge else self.construct_object(key)
            before = first.setdefault((is_merge, value), key)
            if before is not key:
                both = places(self._text, before.start_mark.index, key.start_mark.index)
                raise _Refused(f"the key {key.value!r} is given twice, {both}")
        return node

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        return self._made(node, lambda: super(_Loader, self).construct_object(node, deep))

    def _made(self, node: Any, make: Callable[[], Any]) -> Any:
        try:
            return make()
        except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError):
            value = node.value if isinstance(node, yaml.ScalarNode) else node.id
            kind = node.tag.rpartition(":")[2]
            raise _Refused(
                f"{value[:40]!r} at {self._place(node.start_mark)} is no {kind} that can be "
                "read; a text goes in quotes"
            ) from None

    def _place(self, mark: yaml.Mark) -> str:
        return place(self._text, mark.index)

    def _count(self, node: Any, mark: Any) -> None:
        if id(node) not in self._num_values:
            parts = node.value if isinstance(node, yaml.CollectionNode) else ()
            if isinstance(node, yaml.MappingNode):
                parts = [part for pair in parts for part in pair]
            self._num_values[id(node)] = 1 + sum(self._num_values[id(part)] for part in parts)
        if self._num_values[id(node)] > _MOST_VALUES:
            raise _Refused(
                f"more than {_MOST_VALUES} values at {self._place(mark)}, with every anchor "
                "written out"
            )


def _unshared(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _unshared(inner) for key, inner in value.items()}
    return [_unshared(inner) for inner in value] if isinstance(value, list) else value


def _at(error: yaml.MarkedYAMLError, text: str) -> str:
    return f" at {place(text, error.problem_mark.index)}" if error.problem_mark else ""
