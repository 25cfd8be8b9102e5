"""Messages as agents' data sets have them since Vicuna: who said it, and what.

{"from": "human", "value": "Take the cup."}, {"from": "gpt", "value": "Action: look"}, …
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from w2stree.errors import InvalidInput
from w2stree.formats.conversation import Said
from w2stree.formats.parallel_calls import Part
from w2stree.trajectories import fields

_ROLES = {"human": "user", "gpt": "assistant", "system": "system"}
_READ = ("from", "value", "loss")
_NAMES = {"user": "human", "assistant": "gpt"}


def turns_of(given: Any) -> Sequence[Mapping[str, Any]] | None:
    """The messages, where it is a list of nothing else; it never raises."""
    if isinstance(given, list | tuple) and all(
        isinstance(m, Mapping) and "from" in m and "value" in m for m in given
    ):
        return given
    return None


def unread(message: Mapping[str, Any]) -> dict[str, Any]:
    """What a message has beside who said what (and whether it is to be learned)."""
    return {k: v for k, v in message.items() if k not in _READ and v is not None}


def parts_of(given: Sequence[Any], where: str) -> list[Part]:
    """The messages, each with what it has beside. Raises `InvalidInput` for another speaker."""
    return [
        (_said(message, i, f"{where}[{i}]"), unread(message)) for i, message in enumerate(given)
    ]


def _said(message: Any, number: int, where: str) -> Said:
    given = fields.mapping(message, where)
    name = fields.text(given.get("from"), f"{where}: from")
    if name not in _ROLES:
        raise InvalidInput(f"{where} is from {fields.shown(name)}; use {', '.join(_ROLES)}")
    return Said(_ROLES[name], fields.text(given.get("value"), f"{where}: value"), number=number)


def record_of(said: Said) -> dict[str, Any]:
    """Only of a user's or an assistant's words; raises `KeyError` for others."""
    return {"from": _NAMES[said.role], "value": said.text}
