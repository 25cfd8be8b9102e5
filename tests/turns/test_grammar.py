"""The grammar of a turn: forced tokens, the thought, the choice among admissible actions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

pytest.importorskip("transformers")

from support.tiny_models import tiny_tokenizer
from support.tokenizers import CHATML, byte_level, sentencepiece

from w2stree.errors import ModelFailure
from w2stree.turns.chat import ChatFormat
from w2stree.turns.decoding import Decoding
from w2stree.turns.grammar import Turn, TurnGrammar
from w2stree.turns.react import parse_action
from w2stree.turns.turn import sampled_turn

pytestmark = pytest.mark.train
ACTIONS = ["slice carrot", "slice", "eat carrot", "take knife"]
TOKENIZERS = {
    "own": tiny_tokenizer,
    "byte level": byte_level,
    "sentencepiece": sentencepiece,
}
CHOICE = Decoding("admissible", thought=False)
THOUGHT = Decoding("admissible", max_new_tokens=8)


@pytest.fixture(scope="module", params=TOKENIZERS)
def chat(request: pytest.FixtureRequest) -> ChatFormat:
    return ChatFormat(TOKENIZERS[request.param]())


@pytest.fixture(scope="module")
def plain() -> ChatFormat:
    return ChatFormat(byte_level())


def play(
    grammar: TurnGrammar, chat: ChatFormat, seed: int, actions: Sequence[str] = ACTIONS
) -> Turn:
    """Random tokens, as an untrained model would say them."""
    rng = np.random.default_rng(seed)
    turn = grammar.start(actions)
    for _ in range(1000):
        if turn.is_done:
            return turn
        options = turn.allowed if turn.allowed is not None else np.arange(len(chat.tokenizer))
        turn.push(int(rng.choice(options)), -1.0)
    raise AssertionError("the turn never ends")


def say(turn: Turn, chat: ChatFormat, text: str) -> None:
    for token in chat.encode(text):
        turn.push(token, -1.0)


@pytest.mark.parametrize("has_thought", [False, True])
def test_any_model_ends_its_turn_with_an_admissible_action(
    chat: ChatFormat, has_thought: bool
) -> None:
    grammar = TurnGrammar(chat, Decoding("admissible", thought=has_thought))
    seen = set()
    for seed in range(200):
        turn = play(grammar, chat, seed)
        said = turn.said()
        assert said.token_ids == tuple(turn.ids)
        assert turn.ids[-len(chat.end_ids) :] == chat.end_ids
        assert said.response.startswith("Thought:" if has_thought else "Action:")
        assert set(chat.tokenizer.all_special_ids).isdisjoint(turn.ids[: -len(chat.end_ids)])
        action = parse_action(said.response)
        assert action in ACTIONS
        assert has_thought or said.response == f"Action: {action}"
        assert said.response.endswith(f"\nAction: {action}" if has_thought else f"{action}")
        seen.add(action)
        assert len(turn.ids) == len(turn.logprobs)
    assert seen == set(ACTIONS), "an action that is a prefix of another can be chosen too"


def test_an_action_is_the_tokenizer_s_own_spelling_of_the_whole_turn(chat: ChatFormat) -> None:
    grammar = TurnGrammar(chat, CHOICE)
    for action in ACTIONS:
        turn = grammar.start(ACTIONS)
        whole = chat.turn_ids(f"Action: {action}")
        while not turn.is_done:
            assert turn.ids == whole[: len(turn.ids)]
            turn.push(whole[len(turn.ids)], -1.0)
        assert turn.ids == whole
    after_a_thought = chat.turn_ids("Thought: no\nAction: slice")
    turn = TurnGrammar(chat, THOUGHT).start(["slice"])
    while not turn.is_done:
        assert turn.ids == after_a_thought[: len(turn.ids)]
        turn.push(after_a_thought[len(turn.ids)], -1.0)
    assert turn.ids == after_a_thought


def test_what_leaves_no_choice_is_not_asked_for(chat: ChatFormat) -> None:
    turn = TurnGrammar(chat, CHOICE).start(["take knife"])
    assert turn.is_done
    assert turn.ids == chat.turn_ids("Action: take knife")
    assert turn.logprobs == [0.0] * len(turn.ids)


def test_the_rest_of_the_only_action_left_is_written_without_asking(plain: ChatFormat) -> None:
    turn = TurnGrammar(plain, CHOICE).start(["go north", "take the key"])
    assert plain.tokenizer.decode(turn.ids) == "Action:"
    turn.push(plain.tokenizer.convert_tokens_to_ids("Ġtake"), -1.0)
    assert turn.is_done
    assert plain.tokenizer.decode(turn.ids) == "Action: take the key<|im_end|>"


def test_what_all_that_are_left_begin_with_is_written_without_asking(plain: ChatFormat) -> None:
    turn = TurnGrammar(plain, CHOICE).start(["go to the café", "go to the café x"])
    assert plain.tokenizer.decode(turn.ids) == "Action: go to the café"
    assert turn.allowed is not None
    assert set(plain.end_ids) < set(turn.allowed.tolist())


def test_equal_places_are_one_array_of_sorted_ids(plain: ChatFormat) -> None:
    grammar = TurnGrammar(plain, CHOICE)
    one, other = grammar.start(ACTIONS), grammar.start(ACTIONS[::-1])
    assert one.allowed is not None
    assert one.allowed is other.allowed
    assert one.allowed.dtype == np.int64
    assert one.allowed.tolist() == sorted(set(one.allowed.tolist()))


def test_nothing_to_choose_from_is_a_failure_that_names_the_way_out(plain: ChatFormat) -> None:
    with pytest.raises(ModelFailure, match=r"no admissible actions.*free decoding"):
        TurnGrammar(plain, THOUGHT).start([])
    TurnGrammar(plain, Decoding()).start([])


def test_an_action_that_no_turn_can_say_is_a_failure_that_names_it(plain: ChatFormat) -> None:
    with pytest.raises(ModelFailure, match="the action ''"):
        TurnGrammar(plain, CHOICE).start([""])
    few = ChatFormat(sentencepiece(has_bytes=False))
    with pytest.raises(ModelFailure, match="cannot write 'Action: tür'"):
        TurnGrammar(few, CHOICE).start(["go", "tür"])


@pytest.mark.parametrize(
    ("sampled", "kept"),
    [
        (" no\n", " no\n"),
        (" no\n\n", " no\n"),  # two tokens: the first ends it
        (" no<|im_end|>", " no\n"),
        (" no<|endoftext|>", " no\n"),
        (" no<|im_start|>", " no\n"),
        ("\n", "\n"),
        ("<|im_end|>", "\n"),
        (" a b c d e f g h i", None),
    ],
)
def test_a_thought_ends_at_its_line_s_end_or_its_limit(
    plain: ChatFormat, sampled: str, kept: str | None
) -> None:
    turn = TurnGrammar(plain, THOUGHT).start(["go north"])
    for token in plain.tokenizer(sampled)["input_ids"]:
        if not turn.is_done:
            assert turn.is_thought
            turn.push(token, -1.0)
    text = plain.tokenizer.decode(turn.ids)
    assert turn.is_done
    if kept is None:
        assert text.endswith("\nAction: go north<|im_end|>")
        assert turn.logprobs.count(-1.0) == 8
    else:
        assert text == f"Thought:{kept}Action: go north<|im_end|>"


@pytest.mark.parametrize(
    ("token", "text"),
    [
        (".\n", ".\nAction: go north"),
        (".\n\n", ".\n\nAction: go north"),
        ("\nAction:", "\nAction: go north"),  # goes on after its line break: left out
        ("\nOr", "\nAction: go north"),
        ("\n ", "\nAction: go north"),
    ],
)
def test_a_line_break_within_a_token_ends_the_thought(token: str, text: str) -> None:
    # Tokens that begin with a line break would melt into a prompt that ends with one.
    template = CHATML.replace("role }}\n", "role }}:").replace("assistant\n", "assistant:")
    tokenizer = byte_level(template=template)
    tokenizer.add_tokens([token])
    turn = TurnGrammar(ChatFormat(tokenizer), THOUGHT).start(["go north"])
    turn.push(tokenizer.convert_tokens_to_ids(token), -1.0)
    assert turn.is_done
    assert turn.said().response == f"Thought:{text}"


def test_a_thought_that_is_cut_within_a_character_leaves_the_action_its_line() -> None:
    """Byte tokens that are no character swallow the line break's, where that is one too."""
    chat = ChatFormat(sentencepiece())
    first_byte = chat.tokenizer.convert_tokens_to_ids("<0xF0>")
    for last in ("</s>", "<0x0A>"):
        turn = TurnGrammar(chat, THOUGHT).start(["go north"])
        turn.push(first_byte, -1.0)
        turn.push(chat.tokenizer.convert_tokens_to_ids(last), -1.0)
        assert turn.is_done
        assert turn.said().response == "Thought:\ufffd\nAction: go north"


def test_actions_are_any_texts(plain: ChatFormat) -> None:
    """Of several lines, in marks of text and of chats, with spaces around them."""
    actions = ["go ", " go", "`go`", "write a\nAction: b", "say <|im_end|>"]
    for decoding in (CHOICE, THOUGHT):
        grammar = TurnGrammar(plain, decoding)
        for seed in range(40):
            turn = play(grammar, plain, seed, actions)
            assert parse_action(turn.said().response, actions=actions) in actions


def test_free_turns_end_at_their_mark_or_at_the_limit(chat: ChatFormat) -> None:
    grammar = TurnGrammar(chat, Decoding(max_new_tokens=5))
    turn = grammar.start(ACTIONS)
    say(turn, chat, "go")
    turn.push(chat.end_ids[0], -1.0)
    assert turn.is_done
    assert not turn.is_cut
    endless = grammar.start(ACTIONS)
    while not endless.is_done:
        endless.push(chat.encode("go")[-1], -1.0)
    assert endless.is_cut
    assert endless.logprobs.count(-1.0) == 5
    assert endless.ids[-1:] == chat.end_ids


def test_a_model_s_own_end_ends_its_turn(plain: ChatFormat) -> None:
    own = plain.tokenizer.eos_token_id
    assert plain.end_ids != [own]
    turn = TurnGrammar(plain, Decoding()).start([])
    say(turn, plain, "Action: go")
    turn.push(own, -1.0)
    assert turn.is_done
    assert not turn.is_cut
    assert turn.ids == plain.encode("Action: go") + plain.end_ids
    assert turn.logprobs[-1] == 0.0, "the template's mark was not what was sampled"
    configured = TurnGrammar(plain, Decoding(), eos_ids=[1]).start([])
    configured.push(1, -1.0)
    assert configured.is_done


def test_a_mark_of_two_tokens_that_was_begun_is_written_once() -> None:
    template = CHATML.replace("content }}<|im_end|>", "content }}<|im_start|><|im_end|>")
    chat = ChatFormat(byte_level(template=template))
    assert chat.end_ids == [1, 2]
    for ends in ([1, 2], [2], [1, 0], [0]):
        turn = TurnGrammar(chat, Decoding()).start([])
        say(turn, chat, "go")
        for token in ends:
            turn.push(token, -1.0)
        assert turn.is_done
        assert turn.ids == [*chat.encode("go"), 1, 2]
        assert len(turn.logprobs) == len(turn.ids)


def test_a_model_s_own_end_ends_an_action_that_others_begin_with(plain: ChatFormat) -> None:
    grammar = TurnGrammar(plain, CHOICE)
    for end in (plain.tokenizer.eos_token_id, *plain.end_ids):
        turn = grammar.start(["go", "go north"])
        assert plain.tokenizer.decode(turn.ids) == "Action: go"
        assert turn.allowed is not None
        assert end in turn.allowed
        turn.push(end, -1.0)
        assert turn.is_done
        assert plain.tokenizer.decode(turn.ids) == "Action: go<|im_end|>"


def test_a_sampled_turn_that_ended_in_the_model_s_own_mark_is_text_without_it(
    plain: ChatFormat,
) -> None:
    said = [*plain.encode("Action: go north"), plain.tokenizer.eos_token_id]
    turn = sampled_turn(plain, said, [-1.0] * len(said))
    assert turn.response == "Action: go north"
    assert turn.token_ids == (*said[:-1], *plain.end_ids)
    assert turn.logprobs == (*[-1.0] * (len(said) - 1), 0.0)
