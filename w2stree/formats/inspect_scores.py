"""Scores of Inspect as numbers, as its own `value_to_float` makes them; but what is none stays.

    value    C 1   P 0.5   I, N 0   yes, true 1   no, false 0   "0.3" 0.3   NaN: not scored

Source: `inspect_ai` 0.3.285, scorer/_metric.py; there a text that is no number counts as 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

_WORDS = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
_TRUTHS = {"yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}


def scored(score: Any) -> Any:
    """A score with its values as Inspect makes numbers of them; those that are none stay."""
    if not isinstance(score, Mapping):
        return score
    value = score.get("value")
    if isinstance(value, Mapping):
        return {**score, "value": {k: _value(v) for k, v in value.items()}}
    return {**score, "value": _value(value)}


def _value(value: Any) -> Any:
    if isinstance(value, float) and math.isnan(value):
        return None  # not scored
    if not isinstance(value, str):
        return value
    if value in _WORDS or value.lower() in _TRUTHS:
        return _WORDS.get(value, _TRUTHS.get(value.lower()))
    try:
        return float(value)
    except ValueError:
        return value
