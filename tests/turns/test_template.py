"""A template is what was configured, and renders tomorrow what it rendered today."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("transformers")
pytest.importorskip("trl")

from support.chat_models import TEMPLATES, byte_level
from support.tiny_models import tiny_tokenizer

from w2stree.errors import InvalidInput, MissingDependency
from w2stree.trajectories.trajectory import Message
from w2stree.turns.chat import ChatFormat
from w2stree.turns.template import read_template, set_template

pytestmark = pytest.mark.train

PROMPT = (Message("user", "Cook."),)


def test_a_template_has_a_name_or_is_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.jinja"
    file.write_text(TEMPLATES["smollm2"])
    assert read_template(file) == read_template(str(file)) == TEMPLATES["smollm2"]
    assert "<|im_start|>" in read_template("chatml")
    assert "generation" in read_template("qwen3_training"), "TRL's"
    file.write_text(TEMPLATES["smollm2"], encoding="utf-8-sig")
    assert read_template(file) == TEMPLATES["smollm2"], "an editor's mark is no part of a chat"
    with pytest.raises(InvalidInput, match=r"no template 'qwen3_trainng'; did you mean qwen3_tra"):
        read_template("qwen3_trainng")
    with pytest.raises(InvalidInput, match=r"other\.jinja"):
        read_template(tmp_path / "other.jinja")


def test_trl_s_names_need_trl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trl", None)
    assert read_template("plain"), "ours do not"
    with pytest.raises(MissingDependency, match="TRL, whose templates have names too, is not inst"):
        read_template("qwen3_training")


def test_a_base_model_is_given_one() -> None:
    tokenizer = byte_level(None)
    with pytest.raises(InvalidInput, match=r"no chat template: give it one \(chat_template: plain"):
        ChatFormat(tokenizer)
    with pytest.raises(InvalidInput, match="no chat template to give them to"):
        set_template(tokenizer, template_arguments={"x": 1})
    set_template(tokenizer, "plain")
    chat = ChatFormat(tokenizer)
    assert tokenizer.decode(chat.prompt_ids(PROMPT)) == "<bos>User:\nCook.<eos>\nAssistant:\n"
    assert chat.stop_ids == {tokenizer.eos_token_id}, "it ends its turns with a token it knows"


def test_marks_that_the_tokenizer_does_not_have_are_no_marks() -> None:
    tokenizer = tiny_tokenizer()
    set_template(tokenizer, "chatml")
    with pytest.raises(InvalidInput, match=r"does not mark the end .* with a control token of thi"):
        ChatFormat(tokenizer)


def test_arguments_are_part_of_the_template() -> None:
    tokenizer = byte_level(read_template("qwen3_training"))
    before = ChatFormat(tokenizer).fingerprint()
    set_template(tokenizer, template_arguments={"enable_thinking": False})
    chat = ChatFormat(tokenizer)
    rendered = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Cook."}], tokenize=False, add_generation_prompt=True
    )
    assert rendered.endswith("<think>\n\n</think>\n\n"), "whoever renders it"
    assert chat.fingerprint() != before
    with pytest.raises(InvalidInput, match="reads no 'enable_thinkng'"):
        set_template(tokenizer, template_arguments={"enable_thinkng": False})


@pytest.mark.parametrize("value", [True, 3, 0.5, "a 'quoted' \"text\"\n\\ \U0001f600"])
def test_a_variable_has_the_value_that_was_set(value: Any) -> None:
    tokenizer = byte_level("\n{{ v }}" + TEMPLATES["smollm2"])
    set_template(tokenizer, template_arguments={"v": value})
    rendered = tokenizer.apply_chat_template([{"role": "user", "content": "x"}], tokenize=False)
    assert rendered.startswith(f"\n{value}<|im_start|>"), "nor is the first line break lost"


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("add_generation_prompt", True, "is no setting"),  # every turn would end in the next one's
        ("messages", "x", "is no setting"),
        ("eos_token", None, "give a text, a finite number"),
        ("eos_token", float("nan"), "give a text, a finite number"),
        ("eos_token", ["x"], "give a text, a finite number"),
    ],
)
def test_what_is_no_setting_is_refused(name: str, value: Any, reason: str) -> None:
    with pytest.raises(InvalidInput, match=f"template_arguments: {name} .*{reason}"):
        set_template(byte_level(None), "plain", {name: value})


def test_the_clock_stands_still() -> None:
    template = read_template("llama3_2")
    assert "strftime_now" in template
    tokenizer = byte_level(template)
    chat = ChatFormat(tokenizer)
    assert "Today Date: 26 Jul 2024" in tokenizer.decode(chat.prompt_ids(PROMPT))
    set_template(tokenizer)
    assert ChatFormat(tokenizer).fingerprint() == chat.fingerprint(), "saved or not yet"
    set_template(tokenizer, template_arguments={"date_string": "1 May 2025"})
    dated = ChatFormat(tokenizer)
    assert "Today Date: 1 May 2025" in tokenizer.decode(dated.prompt_ids(PROMPT))
    with pytest.raises(InvalidInput, match="reads the clock"):
        ChatFormat(byte_level("{{ strftime_now(f) }}" + TEMPLATES["smollm2"]))


def test_what_is_saved_renders_the_same(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = byte_level(read_template("qwen3_training"))
    set_template(tokenizer, template_arguments={"enable_thinking": False})
    tokenizer.save_pretrained(tmp_path)
    again = ChatFormat(AutoTokenizer.from_pretrained(tmp_path))
    assert again.fingerprint() == ChatFormat(tokenizer).fingerprint()
    assert again.prompt_ids(PROMPT) == ChatFormat(tokenizer).prompt_ids(PROMPT)


def test_line_breaks_of_another_system_are_saved_as_one_s_own(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    lines = read_template("chatml").replace("{% if", "{# the agent's #}\r\n{% if")
    tokenizer = byte_level(lines)
    tokenizer.save_pretrained(tmp_path)
    again = ChatFormat(AutoTokenizer.from_pretrained(tmp_path))
    assert again.fingerprint() == ChatFormat(tokenizer).fingerprint()
    assert again.prompt_ids(PROMPT) == ChatFormat(tokenizer).prompt_ids(PROMPT)


def test_a_stranger_s_template_stays_in_its_sandbox() -> None:
    breaking_out = "{{ ''.__class__.__mro__[1].__subclasses__() }}" + TEMPLATES["smollm2"]
    with pytest.raises(InvalidInput, match="does not render a conversation"):
        ChatFormat(byte_level(breaking_out))
