"""The report of a run in three files that say the same: JSON, Markdown and one HTML page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from w2stree.evaluation import MethodResult
from w2stree.report import text as text
from w2stree.report.page import html_page
from w2stree.report.text import Report, TreePicture

__all__ = ["Report", "TreePicture", "json_record", "markdown", "write_report"]


def write_report(folder: Path, report: Report) -> None:
    """Write report.json, report.md and report.html; the same report gives the same bytes.

    The page needs matplotlib: raises `MissingDependency` without it, before anything is written.
    """
    page = html_page(report)
    record = json.dumps(json_record(report), indent=2, ensure_ascii=False, allow_nan=False)
    for name, content in (
        ("report.json", f"{record}\n"),
        ("report.md", markdown(report)),
        ("report.html", page),
    ):
        (folder / name).write_text(content, encoding="utf-8")


def json_record(report: Report) -> dict[str, Any]:
    """JSON-ready values; what is not a finite number is None."""
    record = {
        "rows": [row.to_dict() for row in report.rows],
        "verdicts": {
            row.method: {
                "to_sft_weak": text.verdict(row.differences["sft_weak"]),
                "to_sft_strong": text.verdict(row.differences["sft_strong"]),
            }
            for row in report.rows
            if row.method in text.TRAINED
        },
        "forest": report.forest,
        "stages": report.stages,
        "config": report.config,
        "versions": report.versions,
    }
    return dict(text.finite(record))


def markdown(report: Report) -> str:
    """The table, the sentences and the statistics; plain enough for a README."""
    sentences = [text.verdict_sentence(row) for row in report.rows if row.method in text.TRAINED]
    forest = [[term.name, value, term.meaning] for term, value in text.forest_terms(report)]
    stages = [
        [f"`{s['stage']}`", f"{s['seconds']:.1f}", f"{s['peak_memory_mb']:,.0f}", _speed(s)]
        for s in report.stages
    ]
    parts = [
        f"# {_plain(text.title(report))}",
        _plain("; ".join(text.settings(report)) + "."),
        _table(
            ["Method", "Average reward [95 % CI]", "Success", "PGR", "vs weak", "vs strong"],
            [_result_cells(row) for row in report.rows],
        ),
        "\n".join(f"- {sentence}" for sentence in sentences),
        "\n".join(f"- {_plain(line)}" for line in text.caveats(report)),
        "## The forest",
        _table(["What", "Value", "Meaning"], forest),
        "## Stages",
        _table(["Stage", "Seconds", "Peak memory (MB)", "Tokens/s"], stages),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _result_cells(row: MethodResult) -> list[str]:
    differences = (row.differences["sft_weak"], row.differences["sft_strong"])
    return [
        f"{text.label(row.method)} (`{row.method}`)",
        f"{text.number(row.avg_reward)} {text.interval(row.ci95)}",
        text.percent(row.success_rate),
        text.percent(row.pgr),
        *(f"{text.signed(d.mean)} {text.interval(d.ci95, is_signed=True)}" for d in differences),
    ]


def _speed(stage: Mapping[str, Any]) -> str:
    speed = text.tokens_per_s(stage["metrics"])
    return "" if speed is None else f"{speed:,.0f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rule = ["---" if name in ("Meaning", head[0]) else "---:" for name in head]
    lines = [head, rule, *([_cell(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: str) -> str:
    return _plain(value).replace("|", "\\|")


def _plain(value: str) -> str:
    """On one line, and no HTML where Markdown would let it through."""
    return " ".join(value.split()).replace("&", "&amp;").replace("<", "&lt;")
