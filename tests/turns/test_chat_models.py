"""The models people have: for each family's template, every id as the template itself gives it,
or the reason why not."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("transformers")
pytest.importorskip("trl")

from support.chat_models import TEMPLATES, byte_level, sentencepiece
from tokenizers import AddedToken

from w2stree.errors import InvalidInput
from w2stree.trajectories.trajectory import Message, Step
from w2stree.turns.chat import ChatFormat
from w2stree.turns.decoding import Decoding
from w2stree.turns.grammar import TurnGrammar
from w2stree.turns.react import parse_action, render_turn
from w2stree.turns.template import read_template, set_template, trl_folder

pytestmark = pytest.mark.train

PROMPTS = {
    "user": (Message("user", "You are in a kitchen.\n\nYour task: cook.\n"),),
    "system": (Message("system", "Be brief.\n"), Message("user", "Cook.")),
    "example": (
        Message("user", "An example."),
        Message("assistant", "Action: look"),
        Message("user", "OK.\nYour task: cook."),
    ),
}
STEPS = (
    Step("look", "You see:\n- a knife\n- a carrot\n", "Thought: Where am I?\nAction: look"),
    Step("go  on", "", "Action: go  on "),
    Step("no", " \n\n   Nothing happens.", "Action: no"),
    Step(
        "take",
        "Taken. 3 < 4, <b>bold</b>, [x] {y} \u00e9\u00df\u4e16 \U0001f600\n\n",
        "Action: take",
    ),
)

THINKING = "drops what earlier turns thought"
NO_TEXT = "writes nothing of a message that is text"

# template, arguments, what an answer begins with, what ends it, prompts it refuses
ACCEPTED: list[tuple[str, dict[str, Any], str, str, set[str]]] = [
    ("chatml", {}, "", "<|im_end|>", set()),
    ("cohere", {}, "", "<|END_OF_TURN_TOKEN|>", set()),
    ("cohere2", {}, "", "<|END_RESPONSE|><|END_OF_TURN_TOKEN|>", set()),
    ("deepseek", {}, "", "<\uff5cend\u2581of\u2581sentence\uff5c>", set()),
    ("gemma", {}, "", "<end_of_turn>", {"system"}),
    ("gemma3", {}, "", "<end_of_turn>", set()),
    ("gemma4", {}, "", "<turn|>", set()),
    ("gemma4_v2", {}, "", "<turn|>", set()),
    ("gemma4_v3", {}, "", "<turn|>", set()),
    ("gemma4_v4", {}, "", "<turn|>", set()),
    ("gemma4_v5", {}, "", "<turn|>", set()),
    ("glm4", {}, "\n", "<|user|>", set()),
    ("glm4moe", {"enable_thinking": False}, "\n", "<|user|>", set()),
    ("glm4moe_training", {"enable_thinking": False}, "\n", "<|user|>", set()),
    ("gptoss_final", {}, "", "<|end|>", set()),
    ("lfm2", {}, "", "<|im_end|>", set()),
    ("lfm2_2_5", {"preserve_thinking": True}, "", "<|im_end|>", set()),
    ("lfm2_v2", {}, "", "<|im_end|>", set()),
    ("llama3", {}, "", "<|eot_id|>", set()),
    ("llama3_1", {}, "", "<|eot_id|>", set()),
    ("llama3_2", {}, "", "<|eot_id|>", set()),
    ("nemotron_3_nano", {"enable_thinking": False}, "", "<|im_end|>", set()),
    ("nemotron_3_super", {"enable_thinking": False}, "", "<|im_end|>", set()),
    ("nemotron_3_ultra", {"enable_thinking": False}, "", "<|im_end|>", set()),
    ("nemotron_3_5_lightning", {"enable_thinking": False}, "", "<|im_end|>", set()),
    ("phi3", {}, "", "<|end|>", set()),
    ("phi3_5", {}, "", "<|end|>", set()),
    ("phi4", {}, "", "<|im_end|>", set()),
    ("phi4_mini", {}, "", "<|end|>", set()),
    ("plain", {}, "", "<eos>", set()),
    ("qwen2_5", {}, "", "<|im_end|>", set()),
    ("qwen2_5_vl", {}, "", "<|im_end|>", set()),
    ("qwen3_instruct_2507", {}, "", "<|im_end|>", set()),
    ("qwen3_training", {}, "<think>\n\n</think>\n\n", "<|im_end|>", set()),
    ("qwen3_training", {"enable_thinking": False}, "", "<|im_end|>", set()),
    ("qwen3_5_nothink_training", {}, "", "<|im_end|>", set()),
    ("qwen3_5_think_training", {"enable_thinking": False}, "", "<|im_end|>", set()),
    ("qwen3_6_training", {"enable_thinking": False}, "", "<|im_end|>", set()),
    ("qwen3_8", {"enable_thinking": False}, "", "<|im_end|>", set()),
    ("qwen3_vl", {}, "", "<|im_end|>", set()),
    ("smollm2", {}, "", "<|im_end|>", set()),
]
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("deepseek_r1_distill", {}, r"one has '<think>\\n', the other"),
    ("deepseek_r1_distill_training", {}, r"one has '<think>\\n', the other"),
    ("deepseekv3", {}, r"one has '<think>\\n', the other"),
    ("gemma4_v5", {"enable_thinking": True}, THINKING),
    ("glm4_chat", {}, r"drops an answer of ''"),
    ("glm4moe", {}, THINKING),
    ("gptoss", {}, r"writes '<\|channel\|>final<\|message\|>' before the answers"),
    ("idefics3", {}, NO_TEXT),
    ("lfm2_2_5", {}, THINKING),
    ("llava_next", {}, r"does not render a conversation of \(user"),
    ("muse_glimmer", {}, r"writes ' to=user<\|message\|>' before the answers"),
    ("nemotron_3_nano", {}, r"after .*<think>' one has '\\n', the other '</think>"),
    ("qwen3", {}, THINKING),
    ("qwen3", {"enable_thinking": False}, r"one has '<think>\\n\\n</think>\\n\\n', the other"),
    ("qwen3_5_nothink", {}, r"one has '<think>\\n\\n</think>\\n\\n', the other"),
    ("qwen3_5_think", {}, r"one has '<think>\\n', the other"),
    ("qwen3_5_think_training", {}, "reads a whole chat otherwise than its pieces.*enable_thinking"),
    ("qwen3_6", {}, r"one has '<think>\\n', the other"),
    ("qwen3_8", {}, r"writes '\\n</think>\\n\\n' before the answers"),
    ("smolvlm", {}, NO_TEXT),
]
# SentencePiece's: each with the newer and the older way of putting a space before first words.
PIECES = [
    ("llama2", " ", " </s>", set()),
    ("mistral_v0_1", "", "</s>", {"system"}),
    ("mistral_v0_2", " ", "</s>", set()),
    ("mistral_v0_3", " ", "</s>", {"system"}),
    ("phi3", "", "<|end|>", set()),
    ("plain", "", "</s>", set()),
    ("vicuna", " ", "</s>", set()),
    ("zephyr", "", "</s>", set()),
]
MARKS = {
    "mistral_v0_3": ["[INST]", "[/INST]"],
    "phi3": ["<|system|>", "<|user|>", "<|assistant|>", "<|end|>"],
}


def _tokenizer(name: str, arguments: dict[str, Any]) -> Any:
    template = TEMPLATES.get(name) or read_template(name)
    marks = ("<|system|>", "<|user|>", "<|assistant|>", "<|end|>")
    tokenizer = byte_level(template, marks=marks if "glm" in name or "phi" in name else ())
    set_template(tokenizer, template_arguments=arguments)
    return tokenizer


def _assert_exact(tokenizer: Any, refused: set[str]) -> None:
    """Each history, turn after turn, has the ids that `apply_chat_template` gives it."""
    chat = ChatFormat(tokenizer)
    for name, prompt in PROMPTS.items():
        if name in refused:
            with pytest.raises(InvalidInput, match="the chat template"):
                chat.prompt_ids(prompt)
            continue
        messages = [{"role": m.role, "content": m.content} for m in prompt]
        for done in range(len(STEPS) + 1):
            whole = tokenizer.apply_chat_template(
                messages, add_generation_prompt=True, return_dict=False
            )
            assert chat.history_ids(prompt, STEPS[:done]) == whole, f"{name}, {done} steps"
            taught, mask = chat.steps_ids(STEPS[:done])
            whole_taught = chat.prompt_ids(prompt) + taught
            assert whole_taught == whole[: len(whole_taught)]
            assert len(mask) == len(taught)
            if done < len(STEPS):
                step = STEPS[done]
                messages.append({"role": "assistant", "content": step.response})
                messages.append({"role": "user", "content": step.observation})


@pytest.mark.parametrize(("name", "arguments", "lead", "end", "refused"), ACCEPTED)
def test_its_chats_are_exact(
    name: str, arguments: dict[str, Any], lead: str, end: str, refused: set[str]
) -> None:
    tokenizer = _tokenizer(name, arguments)
    chat = ChatFormat(tokenizer)
    assert (chat.lead, chat.end) == (lead, end)
    assert chat.text(chat.turn_ids("Thought: I look.\nAction: go north")) == (
        "Thought: I look.\nAction: go north"
    )
    _assert_exact(tokenizer, refused)


@pytest.mark.parametrize(("name", "arguments", "reason"), REFUSED)
def test_it_is_refused_with_the_reason(name: str, arguments: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        ChatFormat(_tokenizer(name, arguments))


@pytest.mark.parametrize("legacy", [False, True], ids=["first word", "every part"])
@pytest.mark.parametrize(("name", "lead", "end", "refused"), PIECES)
def test_a_space_that_is_a_letter_stands_where_the_whole_text_has_it(
    name: str, lead: str, end: str, refused: set[str], legacy: bool
) -> None:
    # Phi-3's own files strip the line break after a mark.
    marks = [AddedToken(m, special=True, rstrip=name == "phi3") for m in MARKS.get(name, ())]
    template = TEMPLATES.get(name) or read_template(name)
    tokenizer = sentencepiece(template, legacy=legacy, marks=tuple(marks))
    chat = ChatFormat(tokenizer)
    assert (chat.lead, chat.end) == (lead, end)
    response = "Thought: I look.\nAction: go north"
    ids = chat.turn_ids(response)
    assert chat.text(ids) == response
    assert chat.text(ids[: -len(chat.end_ids)]) == response, "a turn without its mark"
    _assert_exact(tokenizer, refused)


def test_every_template_of_trl_is_taken_or_refused_by_name() -> None:
    """Also those that the tables above leave out, and those of the next version."""
    folder = trl_folder()
    assert folder is not None
    for file in sorted(folder.glob("*.jinja")):
        try:
            ChatFormat(byte_level(read_template(file)))
        except InvalidInput as refusal:
            assert "the chat template" in str(refusal) or "the tokenizer" in str(refusal), file.stem


@pytest.mark.parametrize("legacy", [False, True], ids=["first word", "every part"])
@pytest.mark.parametrize("name", [piece[0] for piece in PIECES])
def test_a_chosen_action_is_spelled_as_it_is_taught(name: str, legacy: bool) -> None:
    marks = [AddedToken(m, special=True) for m in MARKS.get(name, ())]
    template = TEMPLATES.get(name) or read_template(name)
    chat = ChatFormat(sentencepiece(template, legacy=legacy, marks=tuple(marks)))
    actions = ["take knife", "take the knife", "go north"]
    for thought in (False, True):
        grammar = TurnGrammar(chat, Decoding("admissible", thought=thought))
        for action in actions:
            taught = chat.turn_ids(render_turn("I look." if thought else "", action))
            turn = grammar.start(actions)
            while not turn.is_done:
                assert turn.ids == taught[: len(turn.ids)]
                turn.push(taught[len(turn.ids)], -1.0)
            assert turn.ids == taught
            assert parse_action(turn.said().response) == action


def test_a_template_that_thinks_first_has_no_admissible_decoding() -> None:
    chat = ChatFormat(_tokenizer("qwen3_training", {}))
    with pytest.raises(InvalidInput, match="enable_thinking: false"):
        TurnGrammar(chat, Decoding("admissible"))
    assert TurnGrammar(chat, Decoding("free"))
