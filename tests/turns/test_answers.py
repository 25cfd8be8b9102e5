"""What was said between two turns as the template writes it, message by message."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytest.importorskip("transformers")
pytest.importorskip("trl")

from support.chat_models import byte_level
from support.heard_logs import LOGS, read, said

from w2stree import Trajectory
from w2stree.errors import InvalidInput
from w2stree.rows.chat import chat_of
from w2stree.rows.tokenized import tokenize_sft, turns_for
from w2stree.turns.chat import ChatFormat
from w2stree.turns.template import read_template, set_template

pytestmark = pytest.mark.train


def _tokenizer(name: str) -> Any:
    tokenizer = byte_level(read_template(name))
    nothink = "enable_thinking" in tokenizer.chat_template
    set_template(tokenizer, template_arguments={"enable_thinking": False} if nothink else None)
    return tokenizer


def _as_others_write_them(run: Trajectory) -> list[dict[str, Any]]:
    """The chat in transformers' own words: arguments are objects."""
    messages = chat_of(run)[:-1]  # what comes after the last turn is read by nobody
    for message in messages:
        for call in message.get("tool_calls", ()):
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])
    return messages


@pytest.mark.parametrize("template", ["qwen2_5", "qwen3_training", "llama3_1", "glm4moe"])
@pytest.mark.parametrize("name", LOGS)
def test_ids_are_those_of_the_template_and_turns_alone_are_learned(
    name: str, template: str
) -> None:
    tokenizer = _tokenizer(template)
    run, chat = read([*LOGS[name], said("done")]), ChatFormat(tokenizer)
    messages = _as_others_write_them(run)
    steps = turns_for(run, chat.fingerprint())[:-1]
    if template == "llama3_1" and any(len(step.tool_calls) > 1 for step in steps):
        with pytest.raises(InvalidInput, match="single tool-calls at once"):
            chat.history_ids(run.prompt, steps)
        return
    if template == "glm4moe" and name in ("NOTHING_BETWEEN", "WORDS_ALONE", "SYSTEM_BETWEEN"):
        with pytest.raises(InvalidInput, match="after a turn, or rewrites the turn before it"):
            chat.history_ids(run.prompt, steps)  # its turns end with the mark of the next speaker
        return
    whole = tokenizer.apply_chat_template(
        messages[:-1], add_generation_prompt=True, return_dict=False
    )
    assert chat.history_ids(run.prompt, steps) == whole
    (row,) = tokenize_sft([run], chat, max_length=None).rows
    assert row["input_ids"][: len(whole)] == whole
    taught = tokenizer.decode([i for i in row["labels"] if i != -100])
    for message in messages:
        content = message["content"]
        assert (content in taught) == (message["role"] == "assistant" or not content), content


def test_a_template_that_wants_turns_in_turn_says_so() -> None:
    run = read([*LOGS["TWO_OF_THE_USER"], said("done")])
    with pytest.raises(InvalidInput, match="does not render a conversation of"):
        tokenize_sft([run], ChatFormat(_tokenizer("gemma3")), max_length=None)
