"""What a model refuses to say is what it says; what it says aloud is no text."""

from __future__ import annotations

import json
from typing import Any

import pytest

from w2stree import InvalidInput, Trajectory
from w2stree.formats import messages, verifiers
from w2stree.formats.reader import Reader

USER = {"role": "user", "content": "Pick the lock."}


def read(**turn: Any) -> Trajectory:
    said = [USER, {"role": "assistant", **turn}]
    given = {"task_id": "t", "reward": 0.0, "messages": said}
    (run,) = messages.runs(given, "a.jsonl:1", Reader())
    return run


@pytest.mark.parametrize(
    "turn",
    [
        {"content": None, "refusal": "I cannot."},
        {"content": "", "refusal": "I cannot."},
        {"refusal": "I cannot."},
        {"content": "I cannot.", "refusal": "I cannot."},
        {"content": "I cannot.", "refusal": None},
        {"content": "I cannot.", "refusal": ""},
        {"content": [{"type": "refusal", "refusal": "I cannot."}]},
        {"content": [], "refusal": "I cannot."},
    ],
)
def test_it_is_the_turn(turn: dict[str, Any]) -> None:
    run = read(**turn)
    assert (run.steps[0].response, run.steps[0].action) == ("I cannot.", "I cannot.")
    written = json.loads(json.dumps(messages.record_of(run)))
    assert list(messages.runs(written, "b.jsonl:1", Reader())) == [run]


def test_of_other_formats_that_have_chat_messages_too() -> None:
    turn = {"role": "assistant", "content": None, "refusal": "I cannot."}
    given = {"example_id": 1, "reward": 0.0, "prompt": [USER], "completion": [turn]}
    (run,) = verifiers.runs(given, "a.jsonl:1", Reader())
    assert run.steps[0].response == "I cannot."


@pytest.mark.parametrize(
    ("turn", "reason"),
    [
        ({"content": "Well.", "refusal": "I cannot."}, r"has a content and a refusal: .*leave one"),
        ({"content": None, "refusal": 5}, r"refusal is int; expected a string"),
        ({"content": None, "audio": {"id": "a", "transcript": "Hi."}}, r"audio: sound is no part"),
    ],
)
def test_what_was_said_has_to_be_told(turn: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidInput, match=rf"^a\.jsonl:1: messages\[1\]:? {reason}"):
        read(**turn)
