"""Models: any causal LM directory, or a small Llama-style decoder built from a configuration.

The small ones need no download: their tokenizer is trained on the run's own texts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from w2stree.errors import InvalidInput
from w2stree.policies.pretrained import pretrained
from w2stree.training.adapters import (
    base_of,
    has_adapters,
    is_adapters,
    save_adapters,
    with_adapters,
)
from w2stree.trajectories.field_types import check_field_types
from w2stree.turns.chat import ChatFormat
from w2stree.turns.template import TemplateArgument, set_template

CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SPECIAL_TOKENS = ("<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>")


@dataclass(frozen=True, slots=True)
class Architecture:
    """A decoder's size: pre-norm, rotary positions, gated MLP, tied embeddings (Llama).

    `max_length` is in tokens. Raises `InvalidInput` for a number below 1, and unless `hidden_size`
    is an even multiple of `num_heads` (rotary positions turn a head's dimensions in pairs).
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    hidden_size: int
    num_layers: int
    num_heads: int
    intermediate_size: int
    max_length: int = 2048

    def __post_init__(self) -> None:
        check_field_types(self)
        for name in ("hidden_size", "num_layers", "num_heads", "intermediate_size", "max_length"):
            if getattr(self, name) < 1:
                raise InvalidInput(f"{name} is {getattr(self, name)}; give at least 1")
        if self.hidden_size % (2 * self.num_heads):
            raise InvalidInput(
                f"hidden_size is {self.hidden_size}; give an even multiple of num_heads "
                f"({self.num_heads})"
            )


def train_tokenizer(texts: Sequence[str], *, vocab_size: int, phrase_min_count: int) -> Any:
    """A byte-level BPE tokenizer with the chat template above; no text is out of vocabulary.

    Word sequences of three words and more that occur `phrase_min_count` times are tokens of
    their own, beyond `vocab_size`: an environment's boilerplate ("In one part of the room you
    see a") then costs one token, while rarer words, which carry the task, stay words.
    """
    from tokenizers import AddedToken, decoders, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = _train_bpe(texts, pre_tokenizers.ByteLevel(add_prefix_space=False), vocab_size, 2)
    words.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words,
        pad_token="<|pad|>",
        eos_token="<|end|>",
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
    )
    phrases = _frequent_phrases(texts, phrase_min_count)
    tokenizer.add_tokens([AddedToken(p, single_word=True, normalized=False) for p in phrases])
    return tokenizer


def _frequent_phrases(texts: Sequence[str], min_count: int) -> list[str]:
    """Phrases a BPE that may merge across spaces, but not across clauses, would use."""
    from tokenizers import Regex, decoders, pre_tokenizers

    clauses = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"[.,:\n]"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe = _train_bpe(texts, clauses, 10_000, min_count)
    decoder = decoders.ByteLevel()
    used = Counter(token for text in texts for token in bpe.encode(text).tokens)
    phrases = [decoder.decode([token]) for token, count in used.items() if count >= min_count]
    return sorted(p.rstrip() for p in phrases if len(p.split()) >= 3)


def _train_bpe(texts: Sequence[str], splitter: Any, vocab_size: int, min_frequency: int) -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = splitter
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=min_frequency,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    return bpe


def build_model(architecture: Architecture, tokenizer: Any, *, seed: int) -> Any:
    """A freshly initialised float32 decoder for `tokenizer`; same seed, same weights."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=architecture.hidden_size,
        intermediate_size=architecture.intermediate_size,
        num_hidden_layers=architecture.num_layers,
        num_attention_heads=architecture.num_heads,
        num_key_value_heads=architecture.num_heads,
        max_position_embeddings=architecture.max_length,
        tie_word_embeddings=True,
        # A residual stream of this width starts at unit scale only with a larger deviation
        # than the 0.02 meant for widths of thousands.
        initializer_range=architecture.hidden_size**-0.5 * 0.5,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
    )
    return LlamaForCausalLM(config)


def refuse_no_model(path: str | Path) -> None:
    """Raises `InvalidInput` where there is no model."""
    if not (Path(path) / "config.json").is_file() and not is_adapters(path):
        raise InvalidInput(f"{path}: no config.json; give the directory of a causal LM")


def load_tokenizer(
    path: str | Path,
    chat_template: str | Path | None = None,
    template_arguments: Mapping[str, TemplateArgument] | None = None,
) -> Any:
    """The tokenizer of a model's directory, with the template it will be used with.

    See `w2stree.turns.template.set_template`: template and arguments become the tokenizer's own, so
    that a model trained with them is saved with them. Raises `InvalidInput` where there is no
    tokenizer; nothing is fetched from a hub, and no code of the directory's runs.
    """
    from transformers import AutoTokenizer

    tokenizer = pretrained(AutoTokenizer, path)
    set_template(tokenizer, chat_template, template_arguments)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_model(
    path: str | Path,
    chat_template: str | Path | None = None,
    template_arguments: Mapping[str, TemplateArgument] | None = None,
) -> tuple[Any, Any]:
    """(model, tokenizer) of a causal LM directory, ready to act: evaluation mode, no dropout.

    The template as in `load_tokenizer`. On a GPU the weights keep the checkpoint's precision; on a
    CPU they become float32, since bfloat16 is several times slower there and loses small updates
    in training. Raises `InvalidInput` where there is no model, or one that needs code of its own
    (`pretrained`); nothing is fetched from a hub. Of a directory of adapters, the model they lie on
    with them in it (`adapters.with_adapters`); `InvalidInput` where that model is not there.
    """
    import torch
    from transformers import AutoModelForCausalLM

    refuse_no_model(path)
    tokenizer = load_tokenizer(path, chat_template, template_arguments)
    device = best_device()
    dtype = torch.float32 if device == "cpu" else "auto"
    if is_adapters(path):
        base = pretrained(AutoModelForCausalLM, base_of(path), dtype=dtype)
        model = with_adapters(base, path)
        _keep_its_stops(model, path)
    else:
        model = pretrained(AutoModelForCausalLM, path, dtype=dtype)
    return model.to(device).eval(), tokenizer


def best_device() -> str:
    """The device that models act on: a GPU if there is one."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def save_model(path: str | Path, model: Any, tokenizer: Any) -> None:
    """Write model and tokenizer as a directory every transformers tool can load.

    Of a model whose adapters are not merged, these alone are written (`save_adapters`).

    The weights keep their precision, so that what is evaluated is what is saved; the chat template
    is saved with the tokenizer. Generation stops where the model ended its turns while it was
    trained: the template's end mark is among the `eos_token_id` of `generation_config.json`, beside
    what was there. Raises `InvalidInput` where the template has no such mark.
    """
    if model.can_generate():
        _stop_at_end_of_turn(model.generation_config, tokenizer)
    if has_adapters(model):
        save_adapters(path, model)
        model.generation_config.save_pretrained(path)
    else:
        model.save_pretrained(path)
    tokenizer.save_pretrained(path)


def _keep_its_stops(model: Any, path: str | Path) -> None:
    """Adapters end turns where their own directory says, not where their base did."""
    from transformers import GenerationConfig

    if (Path(path) / "generation_config.json").is_file():
        model.generation_config = pretrained(GenerationConfig, path)


def _stop_at_end_of_turn(generation: Any, tokenizer: Any) -> None:
    last = ChatFormat(tokenizer).end_ids[-1]  # a control token, or the template were refused
    stops = generation.eos_token_id
    stops = [] if stops is None else stops if isinstance(stops, list) else [stops]
    if last not in stops:
        generation.eos_token_id = [*stops, last]
