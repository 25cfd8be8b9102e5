from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from w2stree.turns.react import parse_action, parse_thought, render_turn

ONE_LINE = st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), min_size=1)


@pytest.mark.parametrize("thought", ["", "I need the carrot."])
def test_a_rendered_turn_parses_to_its_action(thought: str) -> None:
    assert parse_action(render_turn(thought, "take carrot")) == "take carrot"


@given(st.text() | ONE_LINE, st.text(min_size=1), st.lists(st.text()))
@example("<think>", "go", [])
@example("I could\u2028Action: left", '"go"', ["go"])
@example("", "```", [])
@example("", "write\nAction: left\nObservation: x", [])
def test_what_an_environment_lists_is_said_exactly(
    thought: str, action: str, others: list[str]
) -> None:
    thought = thought.replace("\n", " ")
    for listed in ([action, *others], [*others, action]):
        assert parse_action(render_turn(thought, action), actions=listed) == action


@given(ONE_LINE, st.from_regex(r"[a-z0-9]+([ \[\](),.:'/-]+[a-z0-9]+)*", fullmatch=True))
def test_a_plain_action_is_said_exactly_without_a_list(thought: str, action: str) -> None:
    if "<" not in thought and "[" not in thought and "◁" not in thought:
        for multi_line in (False, True):
            assert parse_action(render_turn(thought, action), multi_line=multi_line) == action


@given(st.text())
@example("Action: ``")
@example('**Action: ""**')
def test_any_text_is_parsed_or_has_no_action(text: str) -> None:
    for response in (text, f"Action:{text}", f"Thought: {text}\n**Action:**{text}"):
        action = parse_action(response)
        assert action is None or (action and action == action.strip() and "\n" not in action)
        lines = parse_action(response, multi_line=True)
        assert lines is None or lines.strip()


@pytest.mark.parametrize(
    "response",
    [
        "**Thought:** the right one.\n**Action:** right",
        "**Thought**: the right one.\n**Action**: right",
        "**Action: right**",
        "__Action:__ right",
        "*Action:* **right**",
        "### Action: right",
        "### Thought\nhm\n### Action\n: right\nAction: right",
        "> Action: right",
        "- **Action:** right",
        "* Action: right",
        "1. Action: right",
        "Action 1: right",
        "Action : right",
        "action: right",
        "ACTION: right",
        "Action:right",
        "Action\uff1aright",
        "`Action: right`",
        '"Action: right"',
        "Action: `right`",
        "Action: *right*",
        "Thought: maybe\nAction: left\nNo.\n**Final Action:** right",
        "Final Action: right\nObservation: made up",
        "Action: **`right`**",
        "Action: ```right```",
        "Action: “right”",
        "Action: 'right'",
        '**Action:** "right"',
        "Thought: hm\r\nAction: right\r\n",
        "Thought:\nThe right one.\n\nAction: \nright",
        "Action:\n\n  right\n\nThat is it.",
        "Action:\n```\nright\n```",
        "**Action:**\n```text\nright\n```\nbecause",
        "Action: ```\nright\n```",
        "```\nThought: hm\nAction: right\n```",
    ],
)
def test_an_action_as_models_write_it(response: str) -> None:
    assert parse_action(response) == "right"


@pytest.mark.parametrize(
    ("response", "action"),
    [
        # A turn that goes on without an answer: what follows is invented.
        ("Thought: hm\nAction:  look around  \nObservation: made up", "look around"),
        ("Action: a\nObservation: made up\nAction: b", "a"),
        ("Thought: one\nAction: a\nThought: two\nAction: b", "a"),
        ("Thought: one\nAction: a\n**Observation:** x\nThought: two\nAction: b", "a"),
        # A plan.
        ("Action: first\nAction: second", "first"),
        ("Thought: both\nAction: first\n\nAction: second", "first"),
        # Weighed in a thought.
        ("Thought: Action: no\nAction: yes", "yes"),
        ("Thought: should I say Action: left, or Action: right?\nAction: right", "right"),
        ("Thought: maybe\nAction: left\nNo, that closes.\nAction: right", "right"),
        ("Thought: maybe\nAction: left\nNo.\nAction: right\nObservation: x\nAction: c", "right"),
        ("Thought: of\nAction: left\nAction: right\nleft closes. So\nAction: right", "right"),
        ("Action: a\nYou see b.\nAction: b", "a"),  # no thought to weigh it in
        # Within a line.
        ("Thought: hm Action: look", "look"),
        ("I say **Action:** look", "look"),
        ("Thought: hm Action: look\nObservation: x Action: go", "look"),
        ("I could say Action: left or Action: right.", None),
        ("Reaction: none. FooAction: x", None),
        ("An action: it is", None),
        # None.
        ("I would take the carrot.", None),
        ("Action:   ", None),
        ("Action:\nObservation: x", None),
        ("Action:\nAction: right", "right"),
        ("Action: ```\nleft\nright\n```", None),
        ("Action: ```python", None),
        ("Actions: right", None),
        ("", None),
    ],
)
def test_which_action_counts(response: str, action: str | None) -> None:
    assert parse_action(response) == action


@pytest.mark.parametrize(
    ("response", "action"),
    [
        ("Thought: hm\nAction: write\nline one\nline two", "write\nline one\nline two"),
        ("Action:\nwrite\n  indented\n\nlast\n", "write\n  indented\n\nlast"),
        ("Action: write\none\nObservation: made up", "write\none"),
        ("Action: write\none\nThought: and\nAction: read", "write\none"),
        ("Action:\n```yaml\non: push\nAction: x\nThought: y\n```\nThat is it.",
         "on: push\nAction: x\nThought: y"),
        ("Action: write\non: push\naction: x", "write\non: push\naction: x"),
        ("Action: `right`", "right"),
        ("Action: \n\n", None),
    ],
)  # fmt: skip
def test_several_lines_where_the_environment_takes_them(response: str, action: str | None) -> None:
    assert parse_action(response, multi_line=True) == action


@pytest.mark.parametrize("multi_line", [False, True])
@pytest.mark.parametrize(
    ("response", "action"),
    [
        ("Thought: hm\nAction: go to door 1", None),  # of 12, perhaps
        ("Action:", None),
        ("Action: go\nObservation: made u", "go"),
        ("Action: go\nThought: a", "go"),
        ("Action:\n```\ngo\n```\nbecau", "go"),
        ("Action:\n```\ngo", None),
    ],
)
def test_an_action_that_may_have_been_cut_is_none(
    response: str, action: str | None, multi_line: bool
) -> None:
    assert parse_action(response, is_cut=True, multi_line=multi_line) == action


def test_a_line_is_whole_once_it_is_broken() -> None:
    assert parse_action("Action: go\nand th", is_cut=True) == "go"
    assert parse_action("Action: go\nand th", is_cut=True, multi_line=True) is None
    assert parse_action("Action: go", actions=["go", "go on"], is_cut=True) is None


def test_marks_that_are_part_of_a_listed_action_stay() -> None:
    assert parse_action('Thought: a\n\nAction: "yes"', actions=['"yes"', "yes"]) == '"yes"'
    assert parse_action('Thought: a\n\nAction: "yes"', actions=["yes"]) == "yes"
    assert parse_action("**Action: **go****", actions=["**go**"]) == "**go**"


@pytest.mark.parametrize(
    ("response", "thought"),
    [
        (render_turn("I need it.", "take carrot"), "I need it."),
        (render_turn("", "take carrot"), ""),
        ("Thought: one\nand  two\nAction: go\nAction: stay", "one and two"),
        ("**Thought:** one\n**Action:** go", "one"),
        ("<think>Action: left</think>\nThought: one\nAction: go", "one"),
        ("I go. Action: go", "I go."),
        ("no action at all", ""),
        ("", ""),
    ],
)
def test_a_thought_is_what_stands_before_the_action(response: str, thought: str) -> None:
    assert parse_thought(response) == thought
