"""What a report says: verdicts, sentences and caveats that hold for whatever it is given."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from support.small_report import GAIN, LOSS, NOTHING, UNCLEAR, Page, row, small_report

from w2stree import InvalidInput
from w2stree.evaluation import Estimate
from w2stree.report.report import html_page, json_record, markdown
from w2stree.report.text import (
    MINUS,
    MethodText,
    Panel,
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
    assert verdict(Estimate(0.1, ci95), 30) == expected
    assert verdict(Estimate(0.1, ci95), 29) == "too few to tell"


def test_an_interval_without_width_tells_nothing() -> None:
    for value in (-0.1, 0.0, 0.1):
        assert verdict(Estimate(value, (value, value)), 500) == "too few to tell"


def test_sentences_are_honest() -> None:
    gains = row("distilled", 0.5, weak=GAIN, strong=LOSS)
    assert verdict_sentence(small_report(), gains) == (
        "Strong, distilled gains over the weak model (+0.100 [+0.020, +0.180], above zero); "
        f"it loses to the strong model ({MINUS}0.100 [{MINUS}0.180, {MINUS}0.020], below zero)."
    )
    page = html_page(small_report())
    assert f"no difference to the strong model (0.000 [{MINUS}0.060, +0.060], zero incl" in page
    assert json_record(small_report())["verdicts"] == {
        "test": {"distilled": {"to_sft_weak": "gains", "to_sft_strong": "no difference shown"}}
    }


def test_few_tasks_give_no_verdict_and_no_claim() -> None:
    few = dataclasses.replace(row("distilled", 0.5, weak=GAIN, strong=LOSS), num_tasks=29)
    report = small_report(
        rows=[dataclasses.replace(small_report().panels[0].rows[0], num_tasks=29), few]
    )
    assert verdict_sentence(report, few) == (
        "Strong, distilled has played too few tasks to tell it from the weak model "
        "(+0.100 [+0.020, +0.180], 29 tasks); it has played too few tasks to tell it from the "
        f"strong model ({MINUS}0.100 [{MINUS}0.180, {MINUS}0.020], 29 tasks)."
    )
    assert "29 test tasks are too few for a verdict, which needs 30." in markdown(report)
    page = html_page(report)
    for claim in ("gains over", "loses to", 'class="gains"', 'class="loses"', "▲ +", "▼ "):
        assert claim not in page.replace("▲ interval above zero, ▼ below", "")
    assert set(json_record(report)["verdicts"]["test"]["distilled"].values()) == {"too few to tell"}


def test_the_same_difference_in_many_tasks_is_not_called_few_tasks() -> None:
    same = row("distilled", 0.5, weak=NOTHING, strong=NOTHING)
    sentence = verdict_sentence(small_report(), same)
    assert (
        "cannot be told from the weak model (0.000 [0.000, 0.000], the same in each of 40 ta"
        in (sentence)
    )
    assert "too few" not in sentence


def test_signed_has_no_negative_zero() -> None:
    values = [signed(v) for v in (-0.0001, 0.0, 0.0001, -0.5, 0.5)]
    assert values == ["0.000", "0.000", "0.000", f"{MINUS}0.500", "+0.500"]


def test_the_report_names_how_actions_are_decoded() -> None:
    config = {**small_report().config}
    assert "decoding.actions: admissible" in markdown(small_report())
    config["decoding"] = {**config["decoding"], "actions": "free"}
    assert "would accept" not in markdown(small_report(config=config))


def test_caveats_name_errors_and_the_dev_fold() -> None:
    rows = [dataclasses.replace(small_report().panels[0].rows[0], num_errors=3)]
    text = markdown(small_report(panels=[Panel("test", "dev", rows)]))
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
        rows=[
            small_report().panels[0].rows[0],
            *(row(m, 0.5, weak=GAIN, strong=GAIN) for m in methods),
        ],
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
    assert set(json_record(report)["verdicts"]["test"]) == {label.lower() for label in labels}


def test_the_report_says_what_was_played_in_the_words_it_was_given() -> None:
    report = small_report(environment="the web shop WebShop", noun="shop")
    page = html_page(report)
    assert "A weak model learned the web shop WebShop from 58 expert demonstrations" in page
    assert "the mean of the shop&#39;s final scores" in page
    assert "not the shop's own test fold" in markdown(report)
    assert "game" not in " ".join(introduction(report))
    from_file = small_report(config={**report.config, "demonstrations": "shown.jsonl"})
    assert " from 58 demonstrations and then" in introduction(from_file)[0]
    explore = {**report.config["explore"], "samplings": None, "trajectories": "there/runs.jsonl.gz"}
    first, second, _ = introduction(small_report(config={**report.config, "explore": explore}))
    assert first.endswith("from 58 expert demonstrations.")
    assert second.startswith("runs.jsonl.gz has runs of 3 tasks, played before; these runs, fail")


def test_without_a_ceiling_the_report_does_not_speak_of_its_reward() -> None:
    text = markdown(small_report(ceiling=None))
    assert "needs a ceiling: none was trained" in text
    assert "the ceiling's reward is not above" not in text
    assert "the ceiling's reward is not above" in markdown(small_report())


def test_a_gap_that_is_not_shown_is_told_beside_pgr() -> None:
    def told(gap: Estimate) -> str:
        weak = dataclasses.replace(small_report().panels[0].rows[0], pgr=0.0)
        ceiling = dataclasses.replace(row("ceiling", 0.5, weak=gap, strong=UNCLEAR), pgr=1.0)
        methods = {**small_report().methods, "ceiling": MethodText("Ceiling", "", False)}
        return markdown(small_report(rows=[weak, ceiling], methods=methods))

    line = f"the ceiling {MINUS} weak is 0.000 [{MINUS}0.060, +0.060] over 40 tasks"
    assert line in told(UNCLEAR)
    assert "not shown to be one" not in told(GAIN)


def test_caveats_tell_of_episodes_cut_short_and_of_turns_without_action() -> None:
    def of(**metrics: int) -> dict[str, Any]:
        return {**small_report().stages[0], "metrics": metrics}

    rare = of(num_trajectories=9, num_steps=80, num_cut_short=2, num_unparsed=5)
    text = markdown(small_report(stages=[rare]))
    assert "2 of the 9 episodes of explore were cut short where the model could read no" in text
    assert "5 of the 80 turns of explore had no action." in text
    none = markdown(small_report(stages=[of(num_cut_short=0, num_unparsed=0)]))
    assert "cut short" not in none and "no action" not in none


def panels(*names: str) -> list[Panel]:
    """The small report's rows on each kind of test tasks, the weak model better each time."""
    return [
        Panel(
            name,
            split,
            [row("sft_weak", mean, weak=NOTHING, strong=LOSS), small_report().panels[0].rows[1]],
        )
        for name, split, mean in zip(names, ("train", "test"), (0.4, 0.7), strict=True)
    ]


def test_each_panel_is_a_column_and_has_its_verdicts() -> None:
    report = small_report(panels=panels("new_tasks", "unseen|fold"))
    text = markdown(report)
    assert "| Method | new_tasks | unseen\\|fold |\n| --- | ---: | ---: |\n| Weak" in text
    assert "(`sft_weak`) | 0.400 [0.350, 0.450] | 0.700 [0.650, 0.750] |\n| Strong" in text
    assert "\n\n## new_tasks: 40 tasks of the train fold\n\n| Method | Average" in text
    assert "- new_tasks: The test tasks are of the train fold" in text
    assert "\n\n\n" not in text
    page = Page(html_page(report))
    assert " Weak model 0.400 [0.350, 0.450] 0.700 [0.650, 0.750]" in page.rows
    assert [attributes.get("class") for _, attributes in page.tags].count("chart") == 4
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    record = json_record(report)
    assert [(r["panel"], r["method"]) for r in record["rows"]] == [
        (panel, method) for panel in ("new_tasks", "unseen|fold") for method in report.methods
    ]
    assert set(record["verdicts"]) == {"new_tasks", "unseen|fold"}
    assert "test tasks (new_tasks: 40 tasks of the train fold; unseen|f" in introduction(report)[2]


def test_repeats_are_counted() -> None:
    assert "2 of those drawn repeat another and were passed over." in markdown(small_report())
    assert json_record(small_report())["tasks"]["tasks.explore"]["num_repeated"] == 2
    assert "repeat another" not in markdown(small_report(tasks={}))


def test_test_tasks_that_may_have_been_seen_are_told() -> None:
    report = small_report()
    config = {**report.config, "tasks": {**report.config["tasks"], "distinct": False}}
    counts = {"tasks.test.test": {"num_tasks": 40, "num_repeated": 3, "num_shared": 7}}
    told = small_report(config=config, tasks=counts)
    assert "7 of the 40 test tasks open as another task of the run does (tasks.dist" in (
        markdown(told)
    )
    assert "none of which opens" not in introduction(told)[2]
    assert "none of which opens" in introduction(report)[2]


def test_a_report_is_about_something() -> None:
    with pytest.raises(InvalidInput, match="panels is empty"):
        small_report(panels=[])


def test_a_row_without_a_text_is_refused() -> None:
    with pytest.raises(InvalidInput, match="the method 'distilled', methods has no text for it"):
        small_report(methods={"sft_weak": MethodText("Weak model", "", False)})
