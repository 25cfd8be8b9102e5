"""Small tokenizers of the families people have: byte-level BPE and SentencePiece's kind.

Nothing is downloaded: vocabularies are trained on a few lines, and the special tokens are the
template's own marks.
"""

from __future__ import annotations

import functools
import re
from typing import Any

from support.tokenizers import sentencepiece_decoder
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    trainers,
)
from transformers import PreTrainedTokenizerFast

TEXTS = [
    "Thought: I should go north. Action: go north You see a door. Action: take the knife",
    "task user says: you see a door. It opens. A lamp, a box. Action: open door look around wait",
    "<|user|> <|assistant|> [INST] [/INST] USER: ASSISTANT: A note: im_start im_end assistant",
] * 4
_MARK = re.compile(
    "<[|\uff5c][^<>\\s'\"]*?[|\uff5c]>"  # <|user|>, and with DeepSeek's wide bars
    r"|<[|][a-z_]+>|<[a-z_]+[|]>|\[gMASK\]|<sop>|<(?:start|end)_of_turn>"
)
_WORDS = ("<think>", "</think>", "<tool_call>", "</tool_call>")  # added, but not special
_EOS = {"<|im_end|>", "<|eot_id|>", "<\uff5cend▁of▁sentence\uff5c>", "<|return|>"}


def byte_level(template: str | None, *, marks: tuple[str, ...] = ()) -> Any:
    """As Qwen, Llama 3, GPT-2: bytes, GPT-4's way to split text, marks outside of the merges."""
    found = sorted({*_MARK.findall(template or ""), *marks, "<bos>", "<eos>"})
    bpe = Tokenizer.from_str(_trained_on_bytes())
    bpe.add_special_tokens(found)
    bpe.add_tokens([AddedToken(word, normalized=False) for word in _WORDS])
    eos = next((mark for mark in found if mark in _EOS), "<eos>")
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token="<bos>",
        eos_token=eos,
        pad_token="<eos>",
        chat_template=template,
        clean_up_tokenization_spaces=False,
    )


@functools.cache
def _trained_on_bytes() -> str:
    bpe = Tokenizer(models.BPE())
    split = (
        r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(split), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    bpe.train_from_iterator(
        [*TEXTS, "\n\n \n\n\n  \n\n"],
        trainers.BpeTrainer(
            vocab_size=400,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return bpe.to_str()


@functools.cache
def _trained_on_words() -> Any:
    by_words = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    by_words.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=True)
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    special = ["<unk>", "<s>", "</s>", *bytes_]
    by_words.train_from_iterator(
        TEXTS, trainers.BpeTrainer(vocab_size=600, special_tokens=special, show_progress=False)
    )
    return by_words


def sentencepiece(
    template: str | None, *, legacy: bool = False, marks: tuple[AddedToken, ...] = ()
) -> Any:
    """As Llama 2, Mistral v0.1, Zephyr, Vicuna: a space is a letter, and one stands before the
    first word. `legacy`, as Llama 2's files have it: before the first word of every part."""
    bpe = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    if legacy:
        bpe.normalizer = normalizers.Sequence(
            [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
        )
    else:
        bpe.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    bpe.decoder = sentencepiece_decoder()
    bpe.model = _trained_on_words().model
    bpe.add_special_tokens(["<unk>", "<s>", "</s>", *marks])
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="</s>",
        chat_template=template,
        clean_up_tokenization_spaces=False,
    )


# Templates that TRL has no copy of, as the models' own files have them.
_ALTERNATE = (
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception("
    "'Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
)
_SYSTEM_APART = (
    "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}"
    "{% set system_message = messages[0]['content'] %}{% else %}"
    "{% set loop_messages = messages %}{% set system_message = false %}{% endif %}"
)
TEMPLATES = {
    "llama2": _SYSTEM_APART
    + "{% for message in loop_messages %}"
    + _ALTERNATE
    + "{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\\n' + "
    "system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}{% else %}"
    "{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}"
    "{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}"
    "{% elif message['role'] == 'assistant' %}{{ ' '  + content.strip() + ' ' + eos_token }}"
    "{% endif %}{% endfor %}",
    "mistral_v0_1": "{{ bos_token }}{% for message in messages %}"
    + _ALTERNATE
    + "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}"
    "{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token + ' ' }}"
    "{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}"
    "{% endfor %}",
    "mistral_v0_2": _SYSTEM_APART
    + "{{- bos_token }}{% for message in loop_messages %}"
    + _ALTERNATE
    + "{% if message['role'] == 'user' %}{% if loop.first and system_message %}"
    "{{ ' [INST] ' + system_message + '\\n\\n' + message['content'] + ' [/INST]' }}{% else %}"
    "{{ ' [INST] ' + message['content'] + ' [/INST]' }}{% endif %}"
    "{% else %}{{ ' ' + message['content'] + eos_token}}{% endif %}{% endfor %}",
    "mistral_v0_3": _SYSTEM_APART
    + "{{- bos_token }}{% for message in loop_messages %}"
    + _ALTERNATE
    + "{% if message['role'] == 'user' %}{% if loop.last and system_message %}"
    "{{ '[INST] ' + system_message + '\\n\\n' + message['content'] + '[/INST]' }}{% else %}"
    "{{ '[INST] ' + message['content'] + '[/INST]' }}{% endif %}"
    "{% else %}{{ ' ' + message['content'] | trim + eos_token}}{% endif %}{% endfor %}",
    "vicuna": _SYSTEM_APART
    + "{% if not system_message %}{% set system_message = 'A chat between a curious user and an "
    "artificial intelligence assistant.' %}{% endif %}{{ system_message }}"
    "{% for message in loop_messages %}{% if message['role'] == 'user' %}"
    "{{ ' USER: ' + message['content'].strip() }}{% else %}"
    "{{ ' ASSISTANT: ' + message['content'].strip() + eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ ' ASSISTANT:' }}{% endif %}",
    "zephyr": "{% for message in messages %}\n{% if message['role'] == 'user' %}\n"
    "{{ '<|user|>\n' + message['content'] + eos_token }}\n"
    "{% elif message['role'] == 'system' %}\n"
    "{{ '<|system|>\n' + message['content'] + eos_token }}\n"
    "{% elif message['role'] == 'assistant' %}\n"
    "{{ '<|assistant|>\n'  + message['content'] + eos_token }}\n{% endif %}\n"
    "{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n"
    "{% endfor %}",
    "phi4": "{% for message in messages %}{{'<|im_start|>' + message['role'] + '<|im_sep|>' + "
    "message['content'] + '<|im_end|>'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant<|im_sep|>' }}{% endif %}",
    "phi4_mini": "{% for message in messages %}{% if message['role'] == 'system' and 'tools' in "
    "message and message['tools'] is not none %}{{ '<|' + message['role'] + '|>' + "
    "message['content'] + '<|tool|>' + message['tools'] + '<|/tool|>' + '<|end|>' }}{% else %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% else %}{{ eos_token }}{% endif %}",
    "smollm2": "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' "
    "%}{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging "
    "Face<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + "
    "message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|im_start|>assistant\n' }}{% endif %}",
    "glm4_chat": "[gMASK]<sop>{% for item in messages %}{% if item['content'] %}"
    "<|{{ item['role'] }}|>{{ item['metadata'] }}\n{{ item['content'] }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}",
}
