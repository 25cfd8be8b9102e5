"""README.md of a trained model: from what, on what, how, and what came of it.

Its head is the metadata that model hubs read. Whatever comes from outside stands in code, as JSON
without a backquote: text of a file or a folder's name cannot become markup.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import yaml

from w2stree.shorten import visible

_PACKAGES = ("w2stree", "torch", "transformers", "trl", "peft")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """What a reader should know of a trained model."""

    method: str
    """`DPO`, `SFT`."""
    base_model: str | None
    """As the user named it; None for a model that was open."""
    reference: str | None
    """Likewise, of DPO: `start`, `none`, or a directory."""
    data_digest: str
    """SHA-256 of the rows' token ids and masks, in order."""
    rows: Mapping[str, int]
    """Used, and left out by reason."""
    holdout: str
    metrics: Mapping[str, float]
    configuration: Mapping[str, Any]

    def text(self) -> str:
        """The file's content."""
        begun = [f"from {_code(self.base_model)}"] if self.base_model else []
        against = [f"with reference {_code(self.reference)}"] if self.reference else []
        title = " ".join([f"Trained by {self.method}", *begun, *against])
        return "\n".join(
            [
                "---",
                yaml.safe_dump(self._metadata(), sort_keys=False).rstrip(),
                "---",
                "",
                f"# {self.method} on trajectory trees",
                "",
                f"{title}, on the agent's turns alone, by w2stree.",
                "",
                "## Rows",
                "",
                *_table("rows", self.rows),
                "",
                f"{self.holdout}.",
                "",
                f"SHA-256 of what was trained on (token ids and masks): `{self.data_digest}`",
                "",
                "## Metrics",
                "",
                *_table("figure", self.metrics),
                "",
                "`losses.jsonl` has what was logged of each step, `metrics.json` these figures.",
                "",
                "## Configuration",
                "",
                "What differs from the trainer's defaults.",
                "",
                "```json",
                _json(self.configuration),
                "```",
                "",
                "## Versions",
                "",
                *_table("package", {**_versions(), "python": platform.python_version()}),
                "",
            ]
        )

    def _metadata(self) -> dict[str, Any]:
        base = {"base_model": visible(self.base_model)} if self.base_model else {}
        return {
            **base,
            "library_name": "transformers",
            "pipeline_tag": "text-generation",
            "tags": ["w2stree", "trl", self.method.lower()],
        }


def _versions() -> dict[str, str]:
    return {name: version(name) for name in _PACKAGES}


def _table(head: str, figures: Mapping[str, Any]) -> list[str]:
    lines = [f"| {head.replace('_', ' ')} | |", "| --- | ---: |"]
    return lines + [f"| {name.replace('_', ' ')} | {_figure(v)} |" for name, v in figures.items()]


def _figure(value: Any) -> str:
    if not isinstance(value, float):
        return f"{value}"
    return f"{value:.0f}" if value.is_integer() else f"{value:.4g}"


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, default=str).replace("`", "\\u0060")


def _code(text: str) -> str:
    return f"`{visible(text).replace('`', chr(0x2019))}`"
