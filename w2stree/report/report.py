"""The report of a run in three files that say the same: JSON, Markdown and one HTML page."""

from __future__ import annotations

import html
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from w2stree.evaluation import Estimate, MethodResult
from w2stree.report import text
from w2stree.report.caveats import caveats
from w2stree.report.charts import Bar, difference_chart, reward_chart
from w2stree.report.curves import QUANTITIES, series, training_chart
from w2stree.report.evidence import Evidence
from w2stree.report.templates import packaged, render
from w2stree.report.text import Panel, Report
from w2stree.shorten import visible
from w2stree.trajectories.replacing import replacing
from w2stree.viewer.page import named, page_script


def write_report(folder: Path, report: Report) -> None:
    """Write report.json, report.md and report.html; the same report gives the same bytes.

    Needs jinja2, the page matplotlib too: raises `MissingDependency` without them, before
    anything is written.
    """
    page = html_page(report)
    record = json.dumps(json_record(report), indent=2, ensure_ascii=False, allow_nan=False)
    # UTF-8 has no half of a surrogate pair; JSON's escape for one is the one that Python writes.
    record = record.encode("utf-8", "backslashreplace").decode("utf-8")
    for name, content in (
        ("report.json", f"{record}\n"),
        ("report.md", markdown(report)),
        ("report.html", page),
    ):
        with replacing(folder / name) as file:
            file.write(content)


def json_record(report: Report) -> dict[str, Any]:
    """JSON-ready values; what is not a finite number is None."""
    record = {
        "rows": [{"panel": p.name, **row.to_dict()} for p in report.panels for row in p.rows],
        "dev_rows": [] if report.dev is None else [row.to_dict() for row in report.dev.rows],
        "why": _evidence(report.evidence),
        "next": [asdict(one) for one in report.advice],
        "verdicts": {panel.name: _verdicts(report, panel) for panel in report.panels},
        "tasks": report.tasks,
        "forest": report.forest,
        "stages": report.stages,
        "config": report.config,
        "versions": report.versions,
    }
    return dict(text.finite(record))


def _evidence(evidence: Evidence) -> dict[str, Any]:
    """With the curves as they are drawn: all steps are in each training's losses.jsonl."""
    record = asdict(evidence)
    for training, found in zip(record["trainings"], evidence.trainings, strict=True):
        drawn = {key: series(found.steps, key).tolist() for key in QUANTITIES}
        training["curves"] = {key: points for key, points in drawn.items() if points}
        del training["steps"], training["metrics"]  # those are among the stages
    return record


def _verdicts(report: Report, panel: Panel) -> dict[str, dict[str, str]]:
    return {
        row.method: {
            f"to_{other}": text.verdict(row.differences[other], row.num_tasks)
            for other in (report.weak, report.strong)
        }
        for row in text.tested(report, panel)
    }


def markdown(report: Report) -> str:
    """The tables, the sentences and the statistics; plain enough for a README."""
    return render("report.md.j2", report=report, caveats=caveats(report))


def html_page(report: Report) -> str:
    """A whole document with all the Markdown has, charts and a view of all trees in a frame; needs
    nothing beside it, and runs two scripts: the view's, and one that moves it."""
    script = packaged("report.js")
    return render(
        "page.html.j2",
        report=report,
        caveats=caveats(report),
        style=packaged("report.css"),
        curves={
            t.method: training_chart(t.method, t.steps, of=visible(report.methods[t.method].label))
            for t in report.evidence.trainings
        },
        charts={panel.name: _charts(report, panel) for panel in report.panels},
        view=None if report.view is None else html.escape(report.view.decode()),
        script=script,
        scripts=[named(page_script()), named(script.encode())],
    )


def _charts(report: Report, panel: Panel) -> tuple[str, str]:
    """Of the average rewards, and of the differences to the weak model."""

    def bar(row: MethodResult, estimate: Estimate) -> Bar:
        method = report.methods[row.method]
        return Bar(visible(method.label), estimate.mean, estimate.ci95, method.is_tested)

    weak = report.weak
    rewards = [bar(row, Estimate(row.avg_reward, row.ci95)) for row in panel.rows]
    differences = [bar(row, row.differences[weak]) for row in panel.rows if row.method != weak]
    name = "" if len(report.panels) == 1 else visible(panel.name)
    return reward_chart(rewards, of=name), difference_chart(differences, to=weak, of=name)
