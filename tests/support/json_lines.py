"""Lines of `--log-json`, among whatever else stands on standard error."""

from __future__ import annotations

import json
import re
from typing import Any

from support.doc_pages import DOCS


def json_lines(errors: str) -> list[dict[str, Any]]:
    """The objects; every line that begins like one is one."""
    return [json.loads(line) for line in errors.splitlines() if line.startswith("{")]


def last(errors: str, what: str) -> dict[str, Any]:
    """The last line of what is counted."""
    return [line for line in json_lines(errors) if line.get("what") == what][-1]


def documented() -> set[str]:
    """The fields that docs/watching.md has in its table."""
    page = (DOCS / "watching.md").read_text(encoding="utf-8")
    table = page.partition("| field | ")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| (`[^|]+`)[^|]*\|", table, re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}
