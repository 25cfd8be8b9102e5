"""A report of two rows, made by hand, and what a browser makes of a page."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from typing import Any

from w2stree.evaluation import Estimate, MethodResult
from w2stree.experiment.config import load_config
from w2stree.report.text import MethodText, Panel, Report

NOTHING = Estimate(0.0, (0.0, 0.0))
UNCLEAR = Estimate(0.0, (-0.06, 0.06))
GAIN, LOSS = Estimate(0.1, (0.02, 0.18)), Estimate(-0.1, (-0.18, -0.02))


def row(method: str, mean: float, *, weak: Estimate, strong: Estimate) -> MethodResult:
    low, high = mean - 0.05, mean + 0.05
    differences = {"sft_weak": weak, "sft_strong": strong}
    return MethodResult(method, mean, (low, high), 0.5, (0.4, 0.6), None, 40, 0, 9.5, differences)


def small_report(*, rows: Sequence[MethodResult] | None = None, **changes: Any) -> Report:
    """With changes to its fields; `rows` are those of its one panel."""
    report = Report(
        title="Weak-to-strong on chess",
        settings=["seed 0", "at most 12 moves"],
        environment="the board game chess",
        noun="game",
        methods={
            "sft_weak": MethodText("Weak model", "the small one", False),
            "distilled": MethodText("Strong, distilled", "taught by the small one", True),
        },
        weak="sft_weak",
        strong="sft_strong",
        ceiling="ceiling",
        config=load_config("quickstart").model_dump(mode="json"),
        tasks={"tasks.explore": {"num_tasks": 3, "num_repeated": 2, "num_shared": 0}},
        num_demonstrations=58,
        panels=[
            Panel(
                "test",
                "train",
                [
                    row("sft_weak", 0.4, weak=NOTHING, strong=LOSS),
                    row("distilled", 0.5, weak=GAIN, strong=UNCLEAR),
                ],
            )
        ],
        forest={"num_trees": 3, "merge_rate": 0.25},
        stages=[{"stage": "explore", "seconds": 1.5, "peak_memory_mb": 100.0, "metrics": {}}],
        versions={"python": "3.11"},
    )
    if rows is not None:
        changes["panels"] = [dataclasses.replace(report.panels[0], rows=rows)]
    return dataclasses.replace(report, **changes)


class Page(HTMLParser):
    """A page's text, the text of its table rows, its tags; fails where tags are not balanced."""

    VOID = ("meta", "stop", "br")

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.rows: list[str] = []
        self.feed(source)
        self.close()
        assert not self.open, f"unclosed {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)
        if "tr" in self.open and data.strip():
            self.rows[-1] += re.sub(r"[ \n]+", " ", f" {data}").rstrip(" ")
