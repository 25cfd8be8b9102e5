"""Small tokenizers of the kinds that models have, trained on a few texts."""

from __future__ import annotations

import json
from typing import Any

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
ZEPHYR = (
    "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}{{ eos_token }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
TEXTS = [
    "Thought: I should go x.\n\nAction: go north", "Thought: no\nAction: go south\n",
    "Action: go to the café\nAction: go", "Thought: take it.\nAction: take the key",
]  # fmt: skip


def byte_level(*, vocab_size: int = 330, template: str = CHATML) -> Any:
    """As GPT-2, Qwen and Llama 3: a token is any bytes. `<|endoftext|>` is the model's own end."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(TEXTS * 3, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        eos_token="<|endoftext|>",
        pad_token="<|endoftext|>",
        chat_template=template,
    )
    tokenizer.add_tokens([AddedToken(" go to the", normalized=False, special=False)])
    return tokenizer


def sentencepiece_decoder() -> Any:
    from tokenizers import decoders

    return decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )


def sentencepiece(*, has_bytes: bool = True) -> Any:
    """As Llama 2 and Zephyr: `▁` is a space, one is put before a text; bytes for the rest."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE(unk_token="<unk>"))
    bpe.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=True)
    bpe.decoder = sentencepiece_decoder()
    marks = ["<unk>", "<s>", "</s>"]
    trainer = trainers.BpeTrainer(vocab_size=120, special_tokens=marks, show_progress=False)
    # As in the real ones, no word begins with a line break: that would melt into the prompt's.
    lines = [line for text in TEXTS for line in [*text.split("\n"), "\n"]]
    bpe.train_from_iterator(lines * 3, trainer)
    if has_bytes:
        trained = json.loads(bpe.to_str())["model"]
        vocab = trained["vocab"]
        vocab |= {f"<0x{byte:02X}>": len(vocab) + byte for byte in range(256)}
        merges = [tuple(pair) for pair in trained["merges"]]
        bpe.model = models.BPE(vocab, merges, unk_token="<unk>", byte_fallback=True)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        eos_token="</s>",
        bos_token="<s>",
        unk_token="<unk>",
        pad_token="</s>",
        chat_template=ZEPHYR,
    )
