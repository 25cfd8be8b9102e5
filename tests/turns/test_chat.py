"""Chats as ids: what a model is trained on is what it acts in, and only its turns are loss."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("transformers")

from support.tiny_models import GOOD, tiny_tokenizer

from w2stree.errors import InvalidInput
from w2stree.turns.chat import ChatFormat

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
