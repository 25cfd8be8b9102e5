"""A sampled turn: whose mark ends it, and what of it is taught."""

from __future__ import annotations

import pytest

pytest.importorskip("transformers")

from support.tiny_models import tiny_tokenizer

from w2stree.trajectories.trajectory import Step
from w2stree.turns.chat import ChatFormat
from w2stree.turns.decoding import Decoding
from w2stree.turns.grammar import TurnGrammar
from w2stree.turns.turn import AgentTurn, sampled_turn

pytestmark = pytest.mark.train
TEXT = "Action: look"


@pytest.fixture(scope="module")
def chat() -> ChatFormat:
    return ChatFormat(tiny_tokenizer())


def step(turn: AgentTurn) -> Step:
    return Step("look", "A room.", turn.response, turn.token_ids, turn.logprobs, is_cut=turn.is_cut)


def labelled(chat: ChatFormat, *steps: Step) -> list[int]:
    ids, mask = chat.steps_ids(steps)
    return [token for token, keep in zip(ids, mask, strict=True) if keep]


def test_a_cut_turn_is_closed_for_the_context_and_its_mark_is_not_taught(chat: ChatFormat) -> None:
    said = chat.encode(TEXT)
    whole = sampled_turn(chat, said + chat.end_ids, [-1.0] * (len(said) + len(chat.end_ids)))
    cut = sampled_turn(chat, said, [-1.0] * len(said))
    assert (whole.is_cut, cut.is_cut) == (False, True)
    assert whole.response == cut.response == TEXT
    assert cut.token_ids == whole.token_ids
    for known in (step(cut), Step("look", "A room.", TEXT, is_cut=True)):
        assert chat.response_ids(known) == chat.response_ids(step(whole))
        assert labelled(chat, known, known) == said + said
    assert labelled(chat, step(whole), step(whole)) == 2 * (said + chat.end_ids)


def test_the_grammar_says_which_turns_were_cut(chat: ChatFormat) -> None:
    said = chat.encode("a b c d e f g h")[:5]
    turn = TurnGrammar(chat, Decoding(max_new_tokens=5)).start([])
    for token in said:
        turn.push(token, -1.0)
    assert turn.is_done and turn.is_cut
    cut = sampled_turn(chat, turn.ids, turn.logprobs, is_cut=turn.is_cut)
    assert cut.is_cut
    assert labelled(chat, step(cut)) == said
    chosen = TurnGrammar(chat, Decoding("admissible", thought=False)).start(["look"])
    assert chosen.is_done and not chosen.is_cut, "forced to its end, it is whole"


def test_an_empty_turn_stays_empty(chat: ChatFormat) -> None:
    turn = sampled_turn(chat, chat.end_ids, [-1.0] * len(chat.end_ids))
    assert turn == AgentTurn("", tuple(chat.end_ids), (-1.0,) * len(chat.end_ids))
    left_empty = Step("", "Your reply had no action.", turn.response, turn.token_ids)
    assert labelled(chat, left_empty) == chat.end_ids


def test_a_prompt_that_opens_thinking_is_known_to_its_turns() -> None:
    tokenizer = tiny_tokenizer()
    assert not sampled_turn(ChatFormat(tokenizer), [1], None).begins_in_thinking
    tokenizer.chat_template = (
        "{% for m in messages %}{% if m.role == 'assistant' %}<|agent|>\n<think>\n{% else %}"
        "<|user|>\n{% endif %}{{ m.content }}<|end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|agent|>\n<think>\n{% endif %}"
    )
    assert sampled_turn(ChatFormat(tokenizer), [1], None).begins_in_thinking
