"""The grammar of a turn: forced tokens, the thought, the admissible actions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("transformers")

from support.tiny_models import tiny_tokenizer

from w2stree.turns.chat import ChatFormat
from w2stree.turns.decoding import Decoding
from w2stree.turns.grammar import TurnGrammar
from w2stree.turns.react import parse_action

pytestmark = pytest.mark.train
ACTIONS = ["slice carrot", "slice", "eat carrot", "take knife"]


@pytest.fixture(scope="module")
def chat() -> ChatFormat:
    return ChatFormat(tiny_tokenizer())


def _play(grammar: TurnGrammar, chat: ChatFormat, seed: int) -> Any:
    """Random tokens, as an untrained model would say them."""
    rng = np.random.default_rng(seed)
    turn = grammar.start(ACTIONS)
    for _ in range(1000):
        if turn.is_done:
            return turn
        options = turn.allowed if turn.allowed is not None else range(len(chat.tokenizer))
        turn.push(int(rng.choice(list(options))), -1.0)
    raise AssertionError("the turn never ends")


@pytest.mark.parametrize("has_thought", [False, True])
def test_any_model_ends_its_turn_with_an_admissible_action(
    chat: ChatFormat, has_thought: bool
) -> None:
    grammar = TurnGrammar(chat, Decoding("admissible", thought=has_thought))
    seen = set()
    for seed in range(200):
        turn = _play(grammar, chat, seed)
        assert turn.ids[-len(chat.end_ids) :] == chat.end_ids
        text = chat.tokenizer.decode(turn.ids[: -len(chat.end_ids)])
        assert text.startswith("Thought:" if has_thought else "Action:")
        assert "<|end|>" not in text
        action = parse_action(text)
        assert action in ACTIONS
        seen.add(action)
        assert len(turn.ids) == len(turn.logprobs)
    assert seen == set(ACTIONS), "an action that is a prefix of another can be chosen too"


def test_what_leaves_no_choice_is_not_asked_for(chat: ChatFormat) -> None:
    turn = TurnGrammar(chat, Decoding("admissible", thought=False)).start(["take knife"])
    assert turn.is_done
    assert chat.tokenizer.decode(turn.ids) == "Action: take knife<|end|>"
    assert turn.logprobs == [0.0] * len(turn.ids)


def test_free_turns_end_at_their_mark_or_at_the_limit(chat: ChatFormat) -> None:
    grammar = TurnGrammar(chat, Decoding(max_new_tokens=5))
    turn = grammar.start(ACTIONS)
    for token in chat.encode("a b")[:2]:
        turn.push(token, -1.0)
    turn.push(chat.end_ids[0], -1.0)
    assert turn.is_done
    endless = grammar.start(ACTIONS)
    for _ in range(5):
        endless.push(chat.encode("a")[0], -1.0)
    assert endless.is_done
    assert endless.ids[-1:] == chat.end_ids
