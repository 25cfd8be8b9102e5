"""The report as one HTML page: no script, no network, light and dark, wide and narrow."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib import resources
from typing import Any

from w2stree.evaluation import Estimate, MethodResult
from w2stree.report import text as text
from w2stree.report.charts import Bar, difference_chart, reward_chart
from w2stree.report.text import Report, TreePicture
from w2stree.report.tree_drawing import draw_legend

_MARKS = {"gains": "▲", "loses": "▼", "no difference shown": "○"}


def html_page(report: Report) -> str:
    """A whole document. All text is escaped; only the pictures go in as they are."""
    css = resources.files("w2stree.report").joinpath("report.css").read_text(encoding="utf-8")
    sections = [
        _header(report),
        _section("Results", _results(report)),
        _section("What the weak model's runs contain", _forest(report)),
        _section("Some of the trees", _trees(report.trees)),
        _section("Time and memory", _stages(report)),
        _details("Configuration and versions", _resolved(report)),
    ]
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            '<head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(text.title(report))}</title>",
            f"<style>\n{css}</style></head>",
            "<body><main>",
            *sections,
            "</main></body></html>\n",
        ]
    )


def _header(report: Report) -> str:
    chips = "".join(f"<li>{escape(line)}</li>" for line in text.settings(report))
    done = " ".join(text.introduction(report))
    return (
        f"<header><h1>{escape(text.title(report))}</h1>"
        f'<ul class="chips">{chips}</ul><p class="lead">{escape(done)}</p></header>'
    )


def _results(report: Report) -> str:
    verdicts = [
        f"<li>{escape(text.verdict_sentence(row))}</li>"
        for row in report.rows
        if row.method in text.TRAINED
    ]
    caveats = "".join(f"<li>{escape(line)}</li>" for line in text.caveats(report))
    head = (
        "Method",
        "Average reward",
        "Success rate",
        "PGR",
        "Against weak",
        "Against strong",
    )
    rows = [_result_row(row, head) for row in report.rows]
    threshold = report.config["evaluate"]["success_threshold"]
    note = (
        f"In brackets: 95 % intervals. Success: an episode's score is at least {threshold:g}. "
        "Against: difference of average reward, task by task: ▲ interval above zero, ▼ below, "
        "○ zero included."
    )
    return (
        f'<ul class="verdicts">{"".join(verdicts)}</ul>'
        f'<table class="stacking">{_head(head)}<tbody>{"".join(rows)}</tbody></table>'
        f'<p class="note">{escape(note)}</p>'
        f"{_charts(report.rows)}"
        f'<ul class="caveats">{caveats}</ul>'
    )


def _result_row(row: MethodResult, head: Sequence[str]) -> str:
    name = (
        f"{escape(text.label(row.method))} <code>{escape(row.method)}</code>"
        f'<span class="what">{escape(text.explanation(row.method))}</span>'
    )
    cells = [
        f"{_strong(text.number(row.avg_reward))} {_interval(text.interval(row.ci95))}",
        f"{text.percent(row.success_rate)}",
        text.percent(row.pgr),
        "" if row.method == "sft_weak" else _difference(row.differences["sft_weak"]),
        "" if row.method == "sft_strong" else _difference(row.differences["sft_strong"]),
    ]
    kind = ' class="trained"' if row.method in text.TRAINED else ""
    body = "".join(
        f'<td data-label="{escape(title)}">{cell or text.DASH}</td>'
        for title, cell in zip(head[1:], cells, strict=True)
    )
    return f'<tr{kind}><th scope="row">{name}</th>{body}</tr>'


def _difference(difference: Estimate) -> str:
    kind = text.verdict(difference)
    figures = _interval(text.interval(difference.ci95, is_signed=True))
    return (
        f'<span class="{kind.split()[0]}" title="{kind}">{_MARKS[kind]} '
        f"{text.signed(difference.mean)}</span> {figures}"
    )


def _charts(rows: Sequence[MethodResult]) -> str:
    rewards = [_bar(row, Estimate(row.avg_reward, row.ci95)) for row in rows]
    differences = [
        _bar(row, row.differences["sft_weak"]) for row in rows if row.method != "sft_weak"
    ]
    return (
        '<div class="charts">'
        f"<figure><figcaption>Average reward</figcaption>{reward_chart(rewards)}</figure>"
        "<figure><figcaption>Difference to the weak model</figcaption>"
        f"{difference_chart(differences)}</figure></div>"
        '<p class="note">Whiskers: 95 % intervals. Blue: the two methods under test.</p>'
    )


def _bar(row: MethodResult, estimate: Estimate) -> Bar:
    is_trained = row.method in text.TRAINED
    return Bar(text.label(row.method), estimate.mean, estimate.ci95, is_trained)


def _forest(report: Report) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(term.name)}</th>'
        f'<td>{escape(value)}</td><td class="meaning">{escape(term.meaning)}</td></tr>'
        for term, value in text.forest_terms(report)
    )
    return f'<table class="terms"><tbody>{rows}</tbody></table>'


def _trees(trees: Iterable[TreePicture]) -> str:
    figures = "".join(
        f"<figure><figcaption><code>{escape(tree.task_id)}</code> {escape(tree.caption)}"
        f'<span class="what">{escape(tree.statement)}</span></figcaption>'
        f'<div class="scroll">{tree.svg}</div></figure>'
        for tree in trees
    )
    if not figures:
        return "<p>No tree has runs that chose differently and scored differently.</p>"
    legend = (
        '<p class="legend">Each picture is one task, read from left to right. The number in a '
        "node is the mean return of the runs through it, which is also its colour "
        f"({draw_legend()}); the actions taken stand on the edges. "
        '<span class="key decision">ringed</span> runs chose different actions here; '
        '<span class="key environment">dashed</span> one action got different answers. '
        "Bold: the path that the tree search kept. Hover over an edge or node for its full "
        "text.</p>"
    )
    return legend + figures


def _stages(report: Report) -> str:
    rows = "".join(_stage_row(stage) for stage in report.stages)
    total = sum(stage["seconds"] for stage in report.stages)
    return (
        '<div class="scroll"><table class="stages">'
        f"{_head(('Stage', 'Seconds', 'Peak memory (MB)', 'Tokens/s'))}"
        f'<tbody>{rows}</tbody><tfoot><tr><th scope="row">total</th><td>{total:,.1f}</td>'
        "<td></td><td></td></tr></tfoot></table></div>"
        '<p class="note">Peak memory is the highest of the process up to the end of the stage, '
        "without the environments' own processes. Tokens/s: generated while playing, trained on "
        "while training.</p>"
    )


def _stage_row(stage: Mapping[str, Any]) -> str:
    speed = text.tokens_per_s(stage["metrics"])
    return (
        f'<tr><th scope="row"><code>{escape(stage["stage"])}</code></th>'
        f"<td>{stage['seconds']:,.1f}</td><td>{stage['peak_memory_mb']:,.0f}</td>"
        f"<td>{'' if speed is None else f'{speed:,.0f}'}</td></tr>"
    )


def _resolved(report: Report) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    metrics = {stage["stage"]: stage["metrics"] for stage in report.stages}
    return (
        f"<p>{escape(versions)}</p>{_json('Configuration', report.config)}"
        f"{_json('What each stage recorded', metrics)}"
    )


def _json(name: str, value: Any) -> str:
    record = json.dumps(text.finite(value), indent=2, ensure_ascii=False, default=str)
    return f"<h3>{escape(name)}</h3><pre>{escape(record)}</pre>"


def _section(name: str, body: str) -> str:
    return f"<section><h2>{escape(name)}</h2>\n{body}</section>"


def _details(name: str, body: str) -> str:
    return f"<details><summary>{escape(name)}</summary>\n{body}</details>"


def _head(names: Iterable[str]) -> str:
    cells = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    return f"<thead><tr>{cells}</tr></thead>"


def _strong(value: str) -> str:
    return f"<strong>{value}</strong>"


def _interval(value: str) -> str:
    return f'<span class="ci">{value}</span>'
