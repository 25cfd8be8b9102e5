"""What the measurement of merge rules counts as one state, and as two."""

from __future__ import annotations

import numpy as np
import pytest

from bench.rollouts import merge_rules
from bench.rollouts.merge_rules import one_state, rates, two_states

HERE = {
    "t": [("", "A hall."), ("look", "a key, a lamp"), ("take key", "Taken."), ("wait", "Rain.")]
}
THERE = {
    "t": [("", "A hall."), ("look", "a lamp, a key"), ("take key", "Stuck."), ("wait", "Sun.")]
}


def test_another_order_is_one_state_until_the_words_differ() -> None:
    assert one_state([HERE, THERE]) == ([("a key, a lamp", "a lamp, a key")], 2, 1)
    assert one_state([HERE, HERE, HERE]) == ([], 12, 0)


def test_the_same_action_with_other_words_is_two_states() -> None:
    run = [("", "A hall."), ("look", "a key"), ("look", "a lamp"), ("look", "a  KEY")]
    assert two_states({"t": run}) == [("a key", "a lamp"), ("a lamp", "a  KEY")]


def test_rates_are_of_the_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = {"open": [1.0, 0.0], "closed": [0.8, 0.6], "a b": [0.0, 1.0], "b a": [0.0, 1.0]}
    monkeypatch.setattr(
        merge_rules, "embed_sentences", lambda texts: np.array([vectors[text] for text in texts])
    )
    measured = {name: shares for name, *shares in rates([("a b", "b a")], [("open", "closed")])}
    assert measured["cosine >= 0.8"] == [1.0, 1.0]
    assert measured["cosine >= 0.9"] == [1.0, 0.0]
    assert measured["cosine >= 0.8, guarded"] == [1.0, 0.0]
