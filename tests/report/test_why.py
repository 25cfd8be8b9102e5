"""The report says why it came out so, and what to do next, in all three formats."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from markdown_it import MarkdownIt
from support.small_report import Page, small_report

from w2stree.evaluation import Contest, contest
from w2stree.report.curves import series, smoothed, training_chart
from w2stree.report.evidence import (
    Advice,
    Causes,
    Contested,
    Evidence,
    Example,
    FailedShare,
    PairAccuracy,
    Played,
    ShownRow,
    ShownRows,
    Training,
)
from w2stree.report.report import html_page, json_record, markdown
from w2stree.report.text import Report
from w2stree.report.why import concern, left_out, went

STEPS = [
    {"step": i + 1.0, "loss": 2.0 - i / 10, "rewards/accuracies": 0.5, "rewards/margins": -0.1 * i}
    for i in range(20)
]
FIGURES = {
    "num_preference_rows": 30,
    "num_used_rows": 10,
    "num_too_long": 5,
    "num_steps": 20.0,
    "loss_before": 1.08,
    "loss_after": 1.75,
    "reward_accuracy": 0.55,
}
HOSTILE = "<script>\x1b[2J|`![x](http://x.test/x)`"


def told() -> Report:
    """A report with something of everything."""

    def played(method: str, total_return: float) -> Played:
        return Played(
            method=method,
            total_return=total_return,
            status="done",
            num_steps=4,
            steps=[(f"take {HOSTILE}", "You take it."), ("", "Nothing happens.")],
            num_more=1,
        )

    row = ShownRow(
        node=None,
        task_id=f"chess/{HOSTILE}",
        depth=1,
        gap=0.5,
        chosen_return=0.75,
        rejected_return=0.25,
        num_chosen=2,
        num_rejected=1,
        prompt=[("user", f"Play.\n{HOSTILE}"), ("agent", "Action: e4"), ("environment", "e5")],
        chosen=[("agent", "Action: Nf3")],
        rejected=[("agent", "Action: Ke2")],
    )
    accuracy = PairAccuracy(
        before="sft_strong",
        after="distilled",
        kind="step",
        num_rows=200,
        num_tasks=40,
        accuracy_before=(0.51, 0.45, 0.57),
        accuracy_after=(0.625, 0.58, 0.67),
    )
    evidence = Evidence(
        trainings=[Training("distilled", FIGURES, STEPS)],
        contests=[
            Contested(
                panel="test",
                method="distilled",
                other="sft_weak",
                num_won=17,
                num_lost=3,
                num_even=20,
            )
        ],
        examples=[
            Example(
                outcome="won",
                panel="test",
                task_id="chess/7",
                statement=f"White to move. {HOSTILE}",
                num_shared=2,
                before=played("sft_weak", 0.0),
                after=played("distilled", 1.0),
            )
        ],
        rows=ShownRows("distilled", 30, [row]),
        failures=[
            FailedShare(
                method="distilled", kind="rows", num_all=30, num_failed=30, num_both_failed=12
            ),
            FailedShare(
                method="sft_weak",
                kind="runs",
                num_all=8,
                num_failed=2,
                num_steps=40,
                num_failed_steps=10,
            ),
        ],
        pair_accuracy=[accuracy],
        causes=Causes(
            num_contrasts=42,
            confirmed_share=0.167,
            reversed_share=0.0,
            undecided_share=0.833,
            by_chance_share=0.007,
        ),
    )
    advice = [Advice("Serve it:", "transformers serve 'runs/my run/distilled/model'")]
    return small_report(evidence=evidence, advice=advice)


SAID = (
    "oss rose from 1.080 to 1.750 on the same rows, 20 steps",
    "The loss did not fall",
    "10 preference rows",
    "5: longer than max_length; 15: not drawn (max_rows)",
    "30 of 30 preference rows (100.0 %) show a failed run on a side; 12 of them compare",
    "2 of 8 imitated runs failed; they give 10 of 40 learned steps (25.0 %)",
    "Of 200 step pairs of 40 tasks that nothing was trained on, sft_strong ranks 51.0 % [0.450,",
    "16.7 % confirmed, 0.0 % reversed, 83.3 % undecided; by chance 0.7 % would",
    "17 won, 3 lost",
    "A task on which Strong, distilled did better than Weak model",
    "White to move.",
    "1 preference row in full, drawn of 30",
    "runs (2) came to 0.750 on average, the rejected side's (1) to 0.250; they part after 1 step.",
    "Action: Ke2",
    "transformers serve 'runs/my run/distilled/model'",
    "(no action)",
    "… and 1 more step",
)


def test_page_and_markdown_say_it() -> None:
    texts = {name: " ".join(text.split()) for name, text in (("page", SEEN), ("md", LINES))}
    missing = [
        (name, said)
        for said in SAID
        for name, text in texts.items()
        if " ".join(said.split()) not in text
    ]
    assert missing == []


def test_json_has_all_of_it_and_the_curves_that_are_drawn() -> None:
    record = json.loads(json.dumps(json_record(told()), allow_nan=False))
    why = record["why"]
    (training,) = why["trainings"]
    assert training["curves"]["loss"][0] == [1.0, 2.0]
    assert set(training["curves"]) == {"loss", "rewards/accuracies", "rewards/margins"}
    assert why["contests"][0]["num_won"] == 17
    assert why["rows"]["rows"][0]["chosen"] == [["agent", "Action: Nf3"]]
    assert why["causes"]["num_contrasts"] == 42
    assert record["next"] == [
        {"why": "Serve it:", "command": "transformers serve 'runs/my run/distilled/model'"}
    ]


def test_texts_of_runs_are_shown_and_not_obeyed() -> None:
    for text in (PAGE, LINES):
        assert "\x1b" not in text
    assert "<script" not in PAGE
    assert "3. `` take <script>\\x1b[2J|`![x](http://x.test/x)` `` = `You take it.`" in LINES
    rendered = MarkdownIt("commonmark").render(LINES)
    assert "<script" not in rendered
    assert "x.test" in rendered
    assert not re.findall(r'(?:src|href)="[^"]*x\.test', rendered)
    assert '<ol start="3">' in rendered


def test_the_page_may_fetch_and_run_nothing() -> None:
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', PAGE)
    assert policy is not None
    told = dict(part.strip().split(" ", 1) for part in policy[1].split(";"))
    assert told.pop("style-src") == "'unsafe-inline'"  # the page's own, and what pictures have
    assert told == dict.fromkeys(("default-src", "base-uri", "form-action"), "'none'")


def test_without_evidence_nothing_is_said_of_it() -> None:
    assert "## Why" not in markdown(small_report())
    assert "What next" not in html_page(small_report())


def test_a_curve_names_its_ends_and_draws_what_can_be_seen() -> None:
    svg = training_chart("a", STEPS, of="A <b>")
    assert "loss: 1.950 at first, 0.150 at last" in svg
    assert "A &lt;b&gt;: loss, reward accuracy, reward margin by step" in svg
    assert svg == training_chart("a", STEPS, of="A <b>")
    many = [{"step": float(i), "loss": float(i)} for i in range(10_000)]
    points = series(many, "loss")
    assert len(points) == 240
    assert points[:, 1].mean() == pytest.approx(4999.5, rel=0.01)
    assert training_chart("a", STEPS[:1], of="A") == ""
    assert len(series([{"step": 1.0, "loss": float("nan")}], "loss")) == 0


def test_smoothing_keeps_a_constant_and_the_order_of_ends() -> None:
    assert smoothed(np.ones(7)).tolist() == [1.0] * 7
    line = smoothed(np.arange(100.0))
    assert line[0] < line[50] < line[-1]
    assert line[50] == 50.0


def test_rows_that_were_not_used_are_told_by_reason() -> None:
    none = Training("a", {"num_rows": 8, "num_too_long": 0}, ())
    assert left_out(none) == []
    assert went(none) == "" and concern(none) == ""
    some = Training("a", {"num_rows": 5, "num_too_long": 2, "num_untaught": 1}, ())
    assert left_out(some) == [(2, "longer than max_length"), (1, "no turn has an action")]


def test_a_contest_counts_tasks() -> None:
    one, other = np.array([1.0, 0.0, 0.5, 0.1 + 0.2]), np.array([0.0, 1.0, 0.5, 0.3])
    assert contest(one, other) == Contest(1, 1, 2)
    with pytest.raises(Exception, match="shapes"):
        contest(one, other[:2])


PAGE, LINES = html_page(told()), markdown(told())
SEEN = " ".join(Page(PAGE).text)
