from __future__ import annotations

import pytest

from w2stree.turns.react import parse_action, parse_thought, render_turn


@pytest.mark.parametrize("thought", ["", "I need the carrot."])
def test_a_rendered_turn_parses_to_its_action(thought: str) -> None:
    assert parse_action(render_turn(thought, "take carrot")) == "take carrot"


@pytest.mark.parametrize(
    ("response", "action"),
    [
        ("Thought: hm\nAction:  look around  \nObservation: made up", "look around"),
        ("Action: first\nAction: second", "first"),
        ("Thought: Action: no\nAction: yes", "yes"),
        ("Thought: hm Action: look", "look"),
        ("I would take the carrot.", None),
        ("Action:   ", None),
        ("", None),
    ],
)
def test_only_the_first_action_line_counts(response: str, action: str | None) -> None:
    assert parse_action(response) == action


@pytest.mark.parametrize(
    ("response", "thought"),
    [
        (render_turn("I need it.", "take carrot"), "I need it."),
        (render_turn("", "take carrot"), ""),
        ("Thought: one\nand  two\nAction: go\nAction: stay", "one and two"),
        ("I go. Action: go", "I go."),
        ("no action at all", ""),
        ("", ""),
    ],
)
def test_a_thought_is_what_stands_before_the_action(response: str, thought: str) -> None:
    assert parse_thought(response) == thought
