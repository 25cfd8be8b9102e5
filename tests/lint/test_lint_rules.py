"""Every rule that needs no tokenizer: it finds what is planted, and is silent where nothing is."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from support.lint_inputs import (
    clean_conversations,
    clean_preferences,
    clean_runs,
    clean_tokens,
    conversation,
    preference,
    run,
    tokens,
    with_steps,
)

from w2stree import InvalidInput, Merging, build_forest, lint, open_forest
from w2stree.linting.finding import Finding, Findings, Rule, Severity

USER = {"role": "user", "content": "You see a door."}
TURN = {"role": "assistant", "content": "open door"}


def longer(i: int) -> dict[str, Any]:
    return preference(i, chosen=[{"role": "assistant", "content": f"take the {i} and go on " * 3}])


def numbered(answer: str) -> list[Any]:
    """Runs whose answers differ by a running number alone."""
    return [
        run(
            "walk",
            ["look", "go", "take a" if i % 2 else "take b"],
            float(i % 2),
            answers=[answer.format(17 * i + 3), answer.format(17 * i + 4), "Done."],
            sample=i,
        )
        for i in range(6)
    ]


# What is planted, how many records are found, of how many, and how bad that is.
PLANTED: dict[Rule, tuple[Any, dict[str, Any], int, int, Severity]] = {
    Rule.UNREADABLE: (
        [*clean_preferences(), preference(chosen=[USER]), preference(prompt="Do it.")],
        *({}, 2, 26, Severity.ERROR),
    ),
    Rule.IDENTICAL_SIDES: (
        [*clean_preferences(), preference(30, chosen=[TURN], rejected=[TURN])],
        *({}, 1, 25, Severity.ERROR),
    ),
    Rule.DUPLICATE_ROWS: (
        [*clean_preferences(), preference(3), preference(4, gap=1.0)],
        *({}, 2, 26, Severity.WARNING),
    ),
    Rule.CONTRADICTORY_ROWS: (
        [
            *clean_preferences(),
            preference(3, chosen=preference(3)["rejected"], rejected=preference(3)["chosen"]),
        ],
        *({}, 2, 25, Severity.ERROR),
    ),
    Rule.RETURNS_DISAGREE: (
        [*clean_preferences(), preference(30, gap=-0.5), preference(31, chosen_return=0.25)],
        *({}, 2, 26, Severity.ERROR),
    ),
    Rule.LENGTH_BIAS: ([longer(i) for i in range(24)], {}, 24, 24, Severity.WARNING),
    Rule.SINGLE_RUN_ROWS: (
        [*clean_preferences(), preference(30, num_chosen=1, num_rejected=1)],
        *({}, 1, 25, Severity.NOTE),
    ),
    Rule.CHOSEN_ACTION_LATER: (
        [
            *(run("cook", ["take a", "eat"], 1.0, sample=i) for i in range(2)),
            *(run("cook", ["take b", "take a"], 0.0, sample=i) for i in range(2)),
        ],
        *({}, 1, 1, Severity.NOTE),
    ),
    Rule.TWO_HISTORIES: (
        numbered("Turn {}: a door."),
        *({"merging": Merging(normalize_observation="numbers")}, 1, 1, Severity.WARNING),
    ),
    Rule.OBSERVATIONS_IN_LOSS: (
        [*clean_preferences(), preference(30, chosen=[TURN, USER, TURN])],
        *({}, 1, 25, Severity.WARNING),
    ),
    Rule.FAILED_DEMONSTRATIONS: (
        [*clean_conversations(), conversation(9, total_return=0.5)],
        *({}, 1, 5, Severity.WARNING),
    ),
    Rule.MISSING_TASK_IDS: (
        [*clean_conversations(), conversation(9, task_id=None)],
        *({}, 1, 5, Severity.NOTE),
    ),
    Rule.NO_TRAINABLE_TOKEN: (
        [*clean_tokens(), tokens(9, labels=[-100] * 4)],
        *({}, 1, 5, Severity.ERROR),
    ),
    Rule.OBSERVATIONS_IN_MASK: (
        [*clean_tokens(), tokens(9, labels=[40, 41, 42, 52])],
        *({}, 1, 5, Severity.ERROR),
    ),
    Rule.ERROR_RUNS: (
        [*clean_runs(), replace(run("cook", ["fall"], 0.0), status="error")],
        *({}, 1, 13, Severity.NOTE),
    ),
    Rule.MISSING_PROMPTS: (
        [*clean_runs(), replace(run("dry", ["a"], 0.0), prompt=())],
        *({}, 1, 13, Severity.ERROR),
    ),
    Rule.MISSING_RESPONSES: (
        [*clean_runs(), with_steps(run("cook", ["take c"], 0.5), response="")],
        *({}, 1, 13, Severity.WARNING),
    ),
    Rule.TURNS_WITHOUT_ACTION: (
        [*clean_runs(), with_steps(run("cook", ["take c"], 0.5), action="")],
        *({}, 1, 13, Severity.NOTE),
    ),
    Rule.DUPLICATE_RUNS: ([*clean_runs(), clean_runs()[3]], {}, 1, 13, Severity.WARNING),
    Rule.DIFFERENT_OPENINGS: (
        [*clean_runs(), replace(run("cook", ["a"], 0.0), prompt=run("dry", ["a"], 0.0).prompt)],
        *({}, 1, 2, Severity.ERROR),
    ),
    Rule.SAME_OPENING: (
        [*clean_runs(), *(replace(r, task_id="again") for r in clean_runs()[:6])],
        *({}, 1, 3, Severity.NOTE),
    ),
    Rule.SINGLE_RUN_TASKS: ([*clean_runs(), run("dry", ["a"], 1.0)], {}, 1, 3, Severity.NOTE),
    Rule.EQUAL_RETURNS: (
        [*clean_runs(), run("dry", ["a"], 1.0), run("dry", ["b"], 0.7 + 0.3)],
        *({}, 1, 3, Severity.NOTE),
    ),
    Rule.RETURNS_OUT_OF_RANGE: (
        [*clean_runs(), run("cook", ["take c"], 1.5)],
        *({}, 1, 13, Severity.WARNING),
    ),
    Rule.MIXED_REWARD_SCALES: (
        [*clean_runs(), run("dry", ["a"], 80.0), run("dry", ["b"], 20.0)],
        *({}, 1, 3, Severity.ERROR),
    ),
    Rule.NO_DIVERSITY: (
        [*clean_runs(), *(run("dry", ["a", "b"], i / 2, sample=i) for i in range(3))],
        *({}, 1, 3, Severity.WARNING),
    ),
    Rule.FAILED_BEST: (
        [*clean_runs(), run("dry", ["a"], 0.5), run("dry", ["b"], 0.0)],
        *({}, 1, 3, Severity.WARNING),
    ),
    Rule.NEVER_MERGING: (numbered("Turn {}: a door."), {}, 1, 19, Severity.WARNING),
}


def of(findings: Findings, rule: Rule) -> Finding:
    (finding,) = (f for f in findings if f.rule is rule)
    return finding


@pytest.mark.parametrize("rule", PLANTED)
def test_finds_what_is_planted(rule: Rule) -> None:
    source, options, count, total, severity = PLANTED[rule]
    finding = of(lint(source, **options), rule)
    assert (finding.count, finding.total, finding.severity) == (count, total, severity)
    assert 1 <= len(finding.places) <= 5
    assert all(len(text) > 10 for text in (finding.says, finding.effect, finding.fix))
    assert finding.record()["code"] == rule.value


@pytest.mark.parametrize(
    "clean", [clean_runs, clean_preferences, clean_conversations, clean_tokens]
)
def test_is_silent_where_nothing_is_wrong(clean: Any) -> None:
    found = lint(clean())
    assert list(found) == []
    assert found.num_given == found.num_linted == len(clean())


def test_every_rule_is_planted_here_or_among_the_rules_of_tokens() -> None:
    from w2stree.linting.lint import _OF_TOKENS

    of_files = {Rule.IN_TWO_FILES}  # test_lint_command.py
    assert set(PLANTED) | set(_OF_TOKENS) | of_files == set(Rule)


# Places -----------------------------------------------------------------------------------------


def test_places_name_the_other_row_and_the_cause() -> None:
    rows, *_ = PLANTED[Rule.CONTRADICTORY_ROWS]
    assert of(lint(rows), Rule.CONTRADICTORY_ROWS).places == (
        "rows[3] (against rows[24])",
        "rows[24] (against rows[3])",
    )
    rows, *_ = PLANTED[Rule.UNREADABLE]
    first, second = of(lint(rows), Rule.UNREADABLE).places
    assert "rows[24]" in first and "no turn of the assistant" in first
    assert "rows[25]" in second and "give a list of chat messages" in second
    runs, *_ = PLANTED[Rule.FAILED_BEST]
    assert of(lint(runs), Rule.FAILED_BEST).places == ("task 'dry' (return 0.5)",)
    runs, *_ = PLANTED[Rule.CHOSEN_ACTION_LATER]
    assert of(lint(runs), Rule.CHOSEN_ACTION_LATER).places == (
        "task 'cook', step 1: 'take a' over 'take b'",
    )


# Near misses --------------------------------------------------------------------------------------


def silent(source: Any, rule: Rule, **options: Any) -> bool:
    return rule not in {finding.rule for finding in lint(source, **options)}


def test_other_answers_or_histories_are_no_contradiction() -> None:
    rows = [
        preference(3),
        preference(
            3,
            prompt=[*preference(3)["prompt"], TURN, USER],
            chosen=preference(3)["rejected"],
            rejected=preference(3)["chosen"],
        ),
    ]
    assert silent(rows, Rule.CONTRADICTORY_ROWS) and silent(rows, Rule.DUPLICATE_ROWS)


def test_what_a_row_does_not_say_is_not_held_against_it() -> None:
    rows = [
        {name: row[name] for name in ("prompt", "chosen", "rejected")}
        for row in clean_preferences()
    ]
    assert {finding.rule for finding in lint(rows)} == {Rule.MISSING_TASK_IDS}


def test_few_rows_tell_no_bias_of_length_and_a_mixture_has_none() -> None:
    assert silent([longer(i) for i in range(19)], Rule.LENGTH_BIAS)
    mixed = [longer(i) if i % 2 else preference(i) for i in range(40)]
    for i, row in enumerate(mixed):
        if i % 2 == 0:
            row["chosen"], row["rejected"] = row["rejected"], longer(i)["chosen"]
    assert silent(mixed, Rule.LENGTH_BIAS)
    shorter = [longer(i) for i in range(24)]
    for row in shorter:
        row["chosen"], row["rejected"] = row["rejected"], row["chosen"]
    assert "have a shorter chosen side" in of(lint(shorter), Rule.LENGTH_BIAS).says


def test_one_scale_from_0_to_100_is_one_scale() -> None:
    runs = [run(f"t{i}", [a], 100 * i / 40, sample=i) for i in range(40) for a in ("a", "b")]
    rules = {finding.rule for finding in lint(runs, return_range=(0, 100))}
    assert Rule.MIXED_REWARD_SCALES not in rules and Rule.RETURNS_OUT_OF_RANGE not in rules
    assert of(lint(runs, return_range=(0, 50)), Rule.RETURNS_OUT_OF_RANGE).severity == "error"


def test_what_failed_is_told_by_the_range_and_the_threshold() -> None:
    runs = [run("dry", ["a"], 60.0), run("dry", ["b"], 0.0)]
    assert not silent(runs, Rule.FAILED_BEST, return_range=(0, 100))
    assert silent(runs, Rule.FAILED_BEST, return_range=(0, 100), success_threshold=0.6)


# Normalisers --------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::w2stree.IdenticalTrajectories")
@pytest.mark.parametrize(
    ("answer", "name"),
    [
        ("Turn {}: a door.", "numbers"),
        ("It is 10:{:02d}.", "dates"),
        ("Saved /tmp/tmpx{}q/repo/a.py", "paths"),
        ("job 7f3a9c21{} queued", "ids"),
    ],
)
def test_names_the_normaliser_that_helps_and_by_how_much(answer: str, name: str) -> None:
    runs = numbered(answer)
    finding = of(lint(runs), Rule.NEVER_MERGING)
    assert f"--normalize {name} " in finding.fix, finding.fix
    plain = build_forest(runs).summary()
    merged = build_forest(runs, merging=Merging(normalize_observation=name)).summary()
    told = re.search(
        r"([\d.]+)% -> ([\d.]+)% of the steps merge, (\d+) -> (\d+) pairs", finding.effect
    )
    assert told is not None
    assert told.groups() == (
        f"{100 * plain.merge_rate:.1f}",
        f"{100 * merged.merge_rate:.1f}",
        f"{plain.num_pairs}",
        f"{merged.num_pairs}",
    )
    assert merged.merge_rate > plain.merge_rate and merged.num_pairs > plain.num_pairs
    assert silent(runs, Rule.NEVER_MERGING, merging=Merging(normalize_observation=name))


def test_several_normalisers_are_named_where_one_does_not_do() -> None:
    runs = numbered("Turn {}: a door.")
    for i, one in enumerate(runs):
        first, second, last = one.steps
        second = replace(second, observation=f"job {'abcdef'[i]}a3f9c21 queued")
        runs[i] = replace(one, steps=(first, second, last))
    assert "--normalize ids+numbers " in of(lint(runs), Rule.NEVER_MERGING).fix


def test_what_no_normaliser_makes_one_is_said_too() -> None:
    runs = numbered("Turn {}.")
    words = ["dawn", "noon", "dusk", "night", "eve", "morn"]
    for i, one in enumerate(runs):
        steps = tuple(replace(step, observation=words[i]) for step in one.steps)
        runs[i] = replace(one, steps=steps)
    finding = of(lint(runs), Rule.NEVER_MERGING)
    assert "no normaliser" in finding.says and "of your own" in finding.fix


# What is given ------------------------------------------------------------------------------------


def test_a_saved_forest_is_linted_as_far_as_it_goes(tmp_path: Any) -> None:
    runs, *_ = PLANTED[Rule.FAILED_BEST]
    build_forest(runs).save(tmp_path / "forest")
    for source in (tmp_path / "forest", open_forest(tmp_path / "forest")):
        found = lint(source)
        assert {f.rule for f in found} == {Rule.FAILED_BEST}
        assert "keeps no prompts" in found.notes[0]
    assert {f.rule for f in lint(build_forest(runs))} >= {Rule.FAILED_BEST}


def test_tasks_asked_differently_do_not_hide_what_is_wrong_with_others() -> None:
    runs, *_ = PLANTED[Rule.DIFFERENT_OPENINGS]
    found = lint([*runs, run("dry", ["a"], 0.5), run("dry", ["b"], 0.0)])
    assert {Rule.DIFFERENT_OPENINGS, Rule.FAILED_BEST} <= {f.rule for f in found}
    assert any("no forest is made of the 1 tasks" in note for note in found.notes)


def test_counts_what_is_given_and_what_no_rule_saw() -> None:
    rows, *_ = PLANTED[Rule.UNREADABLE]
    found = lint(rows)
    assert (found.num_given, found.num_linted, found.skipped) == (26, 24, {"refused": 2})
    assert found.account() == "26 preference rows = 24 linted + 2 skipped (2 refused)"
    assert set(found.not_run) > {"too-long"}
    assert str(found).endswith(found.account())


def test_many_pairs_are_drawn_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("w2stree.linting.lint.MOST_PAIRS", 3)
    assert "of 16 pairs 3 were drawn and looked into" in lint(clean_runs()).notes


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ([], {}, "nothing to lint: there are no runs and no rows"),
        ([3], {}, r"source\[0\] is int; give trajectories, or rows"),
        ([{"text": "x"}], {}, r"rows\[0\]: not known by its fields \(text\)"),
        (clean_runs(), {"max_length": 0}, "max_length is 0; give at least 1"),
        (clean_runs(), {"chat_template": "plain"}, "chat_template is of a model's directory"),
        (clean_runs(), {"return_range": (1, 0)}, "expected two finite numbers"),
        (clean_runs(), {"completion": "turn"}, "completion is 'turn'"),
    ],
)
def test_refuses_what_it_cannot_lint(source: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        lint(source, **options)


def test_runs_without_a_step_are_not_called_greedy() -> None:
    """Of two tasks, of which the other was played greedily."""
    runs = [*clean_runs(), *(run("dry", ["a"], i / 2, sample=i) for i in range(2))]
    runs += [run("empty", [], i / 2, sample=i) for i in range(2)]
    greedy, stepless = (f for f in lint(runs).findings if f.rule is Rule.NO_DIVERSITY)
    assert (greedy.count, greedy.places, "temperature" in greedy.fix) == (1, ("task 'dry'",), True)
    assert (stepless.count, stepless.places) == (1, ("task 'empty'",))
    assert "no step in any" in stepless.says and "temperature" not in stepless.fix
