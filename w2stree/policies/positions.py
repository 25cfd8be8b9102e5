"""How long a history a model can read.

learned positions      as many as there are of them
rotary, plain          what the model was made for: `max_position_embeddings`
rotary, yarn           that, or the stretched length where only the factor says it
rotary, longrope       the length before stretching: beyond it every key would turn anew
ALiBi, recurrent, none no limit
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def max_positions(config: Any) -> int | None:
    """The most tokens a history may have, of a transformers configuration; None is no limit."""
    text = config.get_text_config(decoder=True)
    limit = getattr(text, "max_position_embeddings", None)
    if limit is None or getattr(text, "alibi", False):
        return None
    for rope in _ropes(getattr(text, "rope_parameters", None) or {}):
        original = rope.get("original_max_position_embeddings")
        if original is None:
            continue
        if rope.get("rope_type") == "longrope":
            limit = min(limit, original)
        elif rope.get("rope_type") == "yarn" and rope.get("factor"):
            limit = max(limit, int(original * rope["factor"]))
    return int(limit)


def _ropes(parameters: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The parameters themselves, or those of each kind of layer."""
    kinds = [value for value in parameters.values() if isinstance(value, Mapping)]
    yield from kinds or [parameters]
