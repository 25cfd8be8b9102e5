"""What a file for speedscope has to be, for files with sampled profiles: written down here from
its published format (https://www.speedscope.app/file-format-schema.json), of which
W2STREE_SPEEDSCOPE_SCHEMA may name a copy, `npm pack speedscope` has one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_NUMBERS = {"type": "array", "items": {"type": "number"}}
_UNITS = ["none", "nanoseconds", "microseconds", "milliseconds", "seconds", "bytes"]
_FRAME = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string"},
        "file": {"type": "string"},
        "line": {"type": "number"},
        "col": {"type": "number"},
    },
}
_SAMPLED = {
    "type": "object",
    "required": ["type", "name", "unit", "startValue", "endValue", "samples", "weights"],
    "properties": {
        "type": {"const": "sampled"},
        "name": {"type": "string"},
        "unit": {"enum": _UNITS},
        "startValue": {"type": "number"},
        "endValue": {"type": "number"},
        "samples": {"type": "array", "items": _NUMBERS},
        "weights": _NUMBERS,
    },
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["$schema", "shared", "profiles"],
    "properties": {
        "$schema": {"const": "https://www.speedscope.app/file-format-schema.json"},
        "shared": {
            "type": "object",
            "required": ["frames"],
            "properties": {"frames": {"type": "array", "items": _FRAME}},
        },
        "profiles": {"type": "array", "items": _SAMPLED},
        "name": {"type": "string"},
        "activeProfileIndex": {"type": "number"},
        "exporter": {"type": "string"},
    },
}


def schemas() -> Iterator[dict[str, Any]]:
    """Ours, and the published one where it is at hand."""
    yield SCHEMA
    if copy := os.environ.get("W2STREE_SPEEDSCOPE_SCHEMA"):
        yield json.loads(Path(copy).read_text(encoding="utf-8"))
