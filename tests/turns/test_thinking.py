"""What a model only thought is not said, in the marks of the models people have."""

from __future__ import annotations

import pytest

from w2stree.turns.react import parse_action
from w2stree.turns.thinking import opens_thinking, spoken

WEIGHED = "Maybe\nAction: left\nNo, that closes."
MARKS = [
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<seed:think>", "</seed:think>"),
    ("<longcat_think>", "</longcat_think>"),
    ("[THINK]", "[/THINK]"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("◁think▷", "◁/think▷"),
    ("<|channel>thought\n", "<channel|>"),
    ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
    ("analysis", "assistantfinal"),
]


@pytest.mark.parametrize(("opening", "closing"), MARKS)
def test_thinking_is_never_parsed_as_an_action(opening: str, closing: str) -> None:
    said = "Thought: the right one.\nAction: right"
    assert parse_action(f"{opening}{WEIGHED}{closing}\n{said}") == "right"
    assert parse_action(f"{opening}{WEIGHED}{closing}{said}") == "right"
    assert parse_action(f"{opening}{WEIGHED}{closing}\nI am done.") is None
    assert parse_action(f"{opening}{WEIGHED}") is None, "never closed"
    assert parse_action(f"{opening}{WEIGHED}\nAction: right") is None


@pytest.mark.parametrize(("opening", "closing"), MARKS[:9])
def test_a_block_may_be_opened_by_the_prompt_and_stand_anywhere(opening: str, closing: str) -> None:
    assert parse_action(f"{WEIGHED}{closing}Action: right") == "right"
    assert parse_action(f"Action: right\n{opening}{WEIGHED}{closing}") == "right"
    assert parse_action(f"{opening}a{closing}Action: right\n{opening}Action: left") == "right"
    assert parse_action(f"Action: {opening}left{closing} right") == "right"


def test_a_turn_that_began_in_thinking_and_was_cut_in_it_has_no_action() -> None:
    assert parse_action(WEIGHED) == "left", "as nothing says that it is thinking"
    assert parse_action(WEIGHED, begins_in_thinking=True) is None
    assert parse_action(f"{WEIGHED}</think>Action: right", begins_in_thinking=True) == "right"


@pytest.mark.parametrize(
    "text", ["analysis of it", "a < b", "analysis\nAction: go", "[think", "", "I think\n"]
)
def test_other_text_is_said(text: str) -> None:
    assert spoken(text) == text


@pytest.mark.parametrize(
    ("prompt", "does"),
    [
        ("<|im_start|>assistant\n<think>\n", True),
        ("<|im_start|>assistant\n<think>\n\n</think>\n\n", False),
        ("<|im_start|>assistant\n", False),
        ("<think>x</think> then <think>", True),
        ("Answer within <think> marks.<|im_start|>assistant\n", False),
    ],
)
def test_a_prompt_says_whether_it_opens_a_block(prompt: str, does: bool) -> None:
    assert opens_thinking(prompt) is does
