from __future__ import annotations

import pytest

from w2stree.turns.react import parse_action, render_turn


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
