"""What a report says: verdicts, sentences and caveats that hold for whatever it is given."""

from __future__ import annotations

import dataclasses

import pytest
from support.small_report import GAIN, LOSS, row, small_report

from w2stree import InvalidInput
from w2stree.evaluation import Estimate
from w2stree.report.report import html_page, json_record, markdown
from w2stree.report.text import (
    MINUS,
    MethodText,
    Report,
    chart_note,
    introduction,
    signed,
    verdict,
    verdict_sentence,
)


@pytest.mark.parametrize(
    ("ci95", "expected"),
    [
        ((0.001, 0.2), "gains"),
        ((0.0, 0.2), "no difference shown"),
        ((-0.1, 0.2), "no difference shown"),
        ((-0.2, 0.0), "no difference shown"),
        ((-0.2, -0.001), "loses"),
    ],
)
def test_verdicts_follow_the_interval(ci95: tuple[float, float], expected: str) -> None:
    assert verdict(Estimate(0.1, ci95)) == expected


def test_sentences_are_honest() -> None:
    gains = row("distilled", 0.5, weak=GAIN, strong=LOSS)
    assert verdict_sentence(small_report(), gains) == (
        "Strong, distilled gains over the weak model (+0.100 [+0.020, +0.180], above zero); "
        f"it loses to the strong model ({MINUS}0.100 [{MINUS}0.180, {MINUS}0.020], below zero)."
    )
    page = html_page(small_report())
    assert "it shows no difference to the strong model (0.000 [0.000, 0.000], zero incl" in page
    assert json_record(small_report())["verdicts"] == {
        "distilled": {"to_sft_weak": "gains", "to_sft_strong": "no difference shown"}
    }


def test_signed_has_no_negative_zero() -> None:
    values = [signed(v) for v in (-0.0001, 0.0, 0.0001, -0.5, 0.5)]
    assert values == ["0.000", "0.000", "0.000", f"{MINUS}0.500", "+0.500"]


def test_the_report_names_how_actions_are_decoded() -> None:
    config = {**small_report().config}
    assert "decoding.actions: admissible" in markdown(small_report())
    config["decoding"] = {**config["decoding"], "actions": "free"}
    assert "would accept" not in markdown(small_report(config=config))


def test_caveats_name_errors_and_the_dev_fold() -> None:
    rows = [dataclasses.replace(small_report().rows[0], num_errors=3)]
    config = {**small_report().config}
    config["tasks"] = {**config["tasks"], "test_split": "dev"}
    text = markdown(small_report(rows=rows, config=config))
    assert "3 episodes of Weak model ended in an error" in text
    assert "dev fold, on which choices are made" in text
    assert "made: final" not in markdown(small_report())


def test_caveats_tell_what_was_too_long_to_learn_from() -> None:
    left_out = {"num_too_long": 9, "num_too_long_failures": 7}
    stages = [
        {**small_report().stages[0], "stage": name, "metrics": metrics}
        for name, metrics in {
            "sft_weak": {"num_too_long": 0, "num_too_long_failures": 0},
            "mcts_sft": left_out,
            "tree_dpo": {"num_too_long": 3},
        }.items()
    ]
    config = {**small_report().config, "max_length": 2048}
    text = markdown(small_report(stages=stages, config=config))
    told = [line for line in text.splitlines() if "was trained without" in line]
    assert told == [
        "- mcts_sft was trained without 9 trajectories of more than max_length (2048) tokens, 7 of "
        "them failures.",
        "- tree_dpo was trained without 3 preference rows of more than max_length (2048) tokens.",
    ]


def report_on(*labels: str) -> Report:
    """A report with a tested method for each label, and one method that is not tested."""
    methods = {label.lower(): MethodText(label, "", True) for label in labels}
    methods["random"] = MethodText("Random play", "", False)
    return small_report(
        methods={**small_report().methods, **methods},
        rows=[small_report().rows[0], *(row(m, 0.5, weak=GAIN, strong=GAIN) for m in methods)],
    )


@pytest.mark.parametrize(
    ("labels", "taught", "blue"),
    [
        ((), "into one tree a task.", ""),
        (("Eto",), "a strong model learned from them: Eto.", " Blue: the method under test."),
        (
            ("Eto", "Dpo"),
            "a strong model learned from them in two ways: Eto and Dpo.",
            " Blue: the two methods under test.",
        ),
        (
            ("Eto", "Dpo", "Sft"),
            "a strong model learned from them in three ways: Eto, Dpo and Sft.",
            " Blue: the three methods under test.",
        ),
    ],
)
def test_sentences_count_the_methods_under_test(
    labels: tuple[str, ...], taught: str, blue: str
) -> None:
    report = report_on(*labels)
    assert introduction(report)[1].endswith(taught)
    assert chart_note(report) == f"Whiskers: 95 % intervals.{blue}"
    assert blue.strip() in html_page(report)
    assert markdown(report).count(" gains over the weak model") == len(labels)
    assert "\n\n\n" not in markdown(report)
    assert set(json_record(report)["verdicts"]) == {label.lower() for label in labels}


def test_the_report_says_what_was_played_in_the_words_it_was_given() -> None:
    report = small_report(environment="the web shop WebShop", noun="shop")
    page = html_page(report)
    assert "A weak model learned the web shop WebShop from 60 expert demonstrations" in page
    assert "the mean of the shop&#39;s final scores" in page
    assert "not the shop's own test fold" in markdown(report)
    assert "game" not in " ".join(introduction(report))
    tasks = {**report.config["tasks"], "demonstrations_from": "shown.jsonl"}
    from_file = small_report(config={**report.config, "tasks": tasks})
    assert " from 60 demonstrations and then" in introduction(from_file)[0]


def test_without_a_ceiling_the_report_does_not_speak_of_its_reward() -> None:
    text = markdown(small_report(ceiling=None))
    assert "needs a ceiling: none was trained" in text
    assert "the ceiling's reward is not above" not in text
    assert "the ceiling's reward is not above" in markdown(small_report())


def test_a_row_without_a_text_is_refused() -> None:
    with pytest.raises(InvalidInput, match="the method 'distilled', methods has no text for it"):
        small_report(methods={"sft_weak": MethodText("Weak model", "", False)})
