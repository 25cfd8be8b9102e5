"""Chats as ids: what a model is trained on is what it acts in, and only its turns are loss."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("transformers")

from support.chat_models import TEMPLATES, byte_level, sentencepiece
from support.tiny_models import GOOD, tiny_tokenizer

from w2stree.errors import InvalidInput
from w2stree.trajectories.trajectory import Step
from w2stree.turns.chat import ChatFormat
from w2stree.turns.template import read_template

pytestmark = pytest.mark.train

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# Drops the thoughts of all but the last turn, as reasoning models' templates do.
FORGETFUL = (
    "{% for m in messages %}{% if m.role != 'assistant' or loop.last %}<|{{ m.role }}|>"
    "{{ m.content }}<|end|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return tiny_tokenizer()


def _whole_text(tokenizer: Any) -> str:
    messages = [{"role": m.role, "content": m.content} for m in GOOD.prompt]
    for step in GOOD.steps:
        messages.append({"role": "assistant", "content": step.response})
        messages.append({"role": "user", "content": step.observation})
    return str(tokenizer.apply_chat_template(messages[:-1], tokenize=False))


@pytest.mark.parametrize("template", [None, CHATML])
def test_pieces_join_to_the_template_s_own_rendering(template: str | None) -> None:
    tokenizer = tiny_tokenizer()
    if template:
        tokenizer.chat_template = template
        tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    chat = ChatFormat(tokenizer)
    ids, _ = chat.steps_ids(GOOD.steps)
    joined = tokenizer.decode(chat.prompt_ids(GOOD.prompt) + ids)
    assert joined.rstrip("\n") == _whole_text(tokenizer).rstrip("\n")


def test_the_mask_covers_the_agent_s_turns_and_nothing_else(tokenizer: Any) -> None:
    chat = ChatFormat(tokenizer)
    ids, mask = chat.steps_ids(GOOD.steps)
    agent = tokenizer.decode([i for i, m in zip(ids, mask, strict=True) if m])
    rest = tokenizer.decode([i for i, m in zip(ids, mask, strict=True) if not m])
    assert agent == "".join(f"{step.response}<|end|>" for step in GOOD.steps)
    assert "Action:" not in rest
    assert all(step.observation in rest for step in GOOD.steps[:-1])
    assert GOOD.steps[-1].observation not in rest, "nothing the agent says follows it"


def test_history_and_steps_together_are_the_whole_conversation(tokenizer: Any) -> None:
    chat = ChatFormat(tokenizer)
    whole = chat.prompt_ids(GOOD.prompt) + chat.steps_ids(GOOD.steps)[0]
    for depth in range(len(GOOD.steps)):
        history = chat.history_ids(GOOD.prompt, GOOD.steps[:depth])
        assert history + chat.steps_ids(GOOD.steps[depth:])[0] == whole


def test_a_template_that_rewrites_earlier_turns_is_refused() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = FORGETFUL
    with pytest.raises(InvalidInput, match="prefix"):
        ChatFormat(tokenizer)


def test_a_tokenizer_without_a_template_is_refused() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = None
    with pytest.raises(InvalidInput, match="no chat template"):
        ChatFormat(tokenizer)


def test_the_fingerprint_is_of_what_changes_ids_and_of_nothing_else() -> None:
    tokenizer = byte_level(TEMPLATES["vicuna"])
    before = ChatFormat(tokenizer).fingerprint()
    tokenizer(["a", "a longer text"], padding=True, truncation=True, max_length=8)
    assert ChatFormat(tokenizer).fingerprint() == before, "padding and truncation are left on"
    tokenizer.pad_token, tokenizer.name_or_path = "<bos>", "elsewhere"
    assert ChatFormat(tokenizer).fingerprint() == before
    tokenizer.eos_token = "<bos>"
    assert ChatFormat(tokenizer).fingerprint() != before, "the template writes it"

    spaced = sentencepiece(TEMPLATES["vicuna"])
    legacy = sentencepiece(TEMPLATES["vicuna"], legacy=True)
    assert ChatFormat(spaced).fingerprint() != ChatFormat(legacy).fingerprint()
    more = byte_level(TEMPLATES["vicuna"])
    more.add_tokens(["kitchen"])
    assert ChatFormat(more).fingerprint() != before


def test_nobody_said_the_end_of_a_turn_that_was_cut_off(tokenizer: Any) -> None:
    chat = ChatFormat(tokenizer)
    said = tuple(chat.turn_ids("Thought: I take")[: -len(chat.end_ids)])
    for cut in (
        Step("", "No action.", "Thought: I take", said, is_cut=True),
        Step("", "No action.", "Thought: I take", is_cut=True),
    ):
        whole = Step("look", "", "Action: look")
        ids, mask = chat.steps_ids([cut, whole])
        assert ids[: len(said) + 1] == [*said, *chat.end_ids], "later turns see a whole turn"
        assert mask[: len(said) + 1] == [1] * len(said) + [0]
        assert mask[-1] == 1


def test_a_turn_may_begin_inside_a_block_of_thinking() -> None:
    tokenizer = byte_level(read_template("qwen3_training"))
    assert not ChatFormat(tokenizer).begins_in_thinking
    prefilled = "{% if add_generation_prompt %}{{ '<think>' }}{% endif %}"
    opened = "('<think>' if message['role'] == 'assistant' else '')"
    kept = TEMPLATES["phi4"].replace("message['content']", f"{opened} + message['content']")
    chat = ChatFormat(byte_level(kept + prefilled))
    assert chat.begins_in_thinking
    assert chat.text(chat.turn_ids("Hm.</think>Action: go")) == "Hm.</think>Action: go"
