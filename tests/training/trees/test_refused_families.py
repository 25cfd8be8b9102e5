"""Models that trees refuse, by name and reason, and the probe that asks the model itself."""

from __future__ import annotations

import re
from typing import Any

import pytest

torch = pytest.importorskip("torch")
import transformers  # noqa: E402
from peft import PrefixTuningConfig, get_peft_model  # noqa: E402
from support.training_families import (  # noqa: E402
    EXPERTS,
    FAMILIES,
    GPT2,
    GROUPED,
    HEADS,
    SMALL,
    VOCABULARY,
    model_of,
    with_lora,
)

from w2stree.errors import InvalidInput  # noqa: E402
from w2stree.training.trees.families import why_unshared  # noqa: E402
from w2stree.training.trees.probe import check_scores  # noqa: E402

pytestmark = [pytest.mark.train, pytest.mark.usefixtures("small_blocks")]


BARE = {"vocab_size": VOCABULARY, "hidden_size": 16, "bos_token_id": None, "eos_token_id": None}
REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "mamba": ("Mamba", BARE | {"num_hidden_layers": 1}, "layers that do more than attend"),
    "lfm2": ("Lfm2", GROUPED | {"layer_types": ["conv", "full_attention"]}, "conv"),
    "recurrent gemma": ("RecurrentGemma", HEADS | {"lru_width": 16}, "layers that"),
    "qwen3 next": ("Qwen3Next", HEADS | EXPERTS | {"num_experts": 4}, "linear_attention"),
    "gpt-oss": (
        "GptOss",
        HEADS | {"num_local_experts": 2, "num_experts_per_tok": 1},
        r"attention sinks \(model\.layers\.0\.self_attn\.sinks\)",
    ),
    "gpt2 with dropout": ("GPT2", GPT2, r"dropout \(transformer\.drop is 0\.1\)"),
    "attention dropout": (
        "Llama",
        GROUPED | {"attention_dropout": 0.25},
        r"dropout \(model\.layers\.0\.self_attn\.attention_dropout is 0\.25\)",
    ),
    "jitter": (
        "Mixtral",
        GROUPED | {"num_local_experts": 2, "router_jitter_noise": 0.1},
        r"jitter_noise is 0\.1",
    ),
    "auxiliary loss": (
        "Mixtral",
        GROUPED | {"num_local_experts": 2, "output_router_logits": True},
        "output_router_logits.*set it to false",
    ),
    "bloom": ("Bloom", BARE | {"n_layer": 1, "n_head": 2}, "ALiBi"),
    "mpt": (
        "Mpt",
        {"vocab_size": VOCABULARY, "d_model": 16, "n_layers": 1, "n_heads": 2},
        "ALiBi",
    ),
    "falcon with alibi": ("Falcon", SMALL | {"alibi": True}, "ALiBi"),
    "gpt-neo": (
        "GPTNeo",
        {
            "vocab_size": VOCABULARY,
            "hidden_size": 16,
            "num_layers": 2,
            "num_heads": 2,
            "attention_types": [[["global", "local"], 1]],
            "window_size": 5,
            "bos_token_id": None,
            "eos_token_id": None,
        },
        "local attention by places in the batch",
    ),
    "dynamic rope": (
        "Llama",
        GROUPED | {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}},
        "dynamic rope beyond 128 tokens",
    ),
}


@pytest.mark.parametrize("family", REFUSED)
def test_refused_by_name(family: str) -> None:
    name, values, sentence = REFUSED[family]
    reason = why_unshared(model_of(name, values))
    assert reason is not None
    assert re.search(sentence, reason), reason


def test_encoders_are_refused() -> None:
    config = transformers.T5Config(
        vocab_size=VOCABULARY, d_model=16, d_kv=4, d_ff=16, num_layers=1, num_heads=2
    )
    model = transformers.T5ForConditionalGeneration(config)
    assert "is an encoder-decoder" in str(why_unshared(model))


def test_dropout_of_adapters_is_refused() -> None:
    model = with_lora(model_of(*FAMILIES["llama"]), lora_dropout=0.05)
    assert "lora_dropout.default is 0.05" in str(why_unshared(model))


def test_dropout_that_is_set_to_0_is_none() -> None:
    model = model_of("GPT2", GPT2)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    assert why_unshared(model) is None
    model = model_of("Persimmon", SMALL | {"attention_dropout": 0.25, "hidden_dropout": 0.0})
    assert "attention_dropout is 0.25" in str(why_unshared(model)), "its forward reads it"


def test_adapters_of_own_tokens_are_refused() -> None:
    config = PrefixTuningConfig(num_virtual_tokens=2, task_type="CAUSAL_LM")
    model = get_peft_model(model_of(*FAMILIES["llama"]), config)
    assert "puts its own tokens before" in str(why_unshared(model))


def test_short_sequences_of_a_dynamic_rope_are_shared() -> None:
    model = model_of(*REFUSED["dynamic rope"][:2])
    assert why_unshared(model, longest=128) is None
    assert why_unshared(model, longest=129) is not None


@pytest.mark.parametrize("family", FAMILIES)
def test_the_probe_passes_exact_families(family: str) -> None:
    check_scores(model_of(*FAMILIES[family]))


@pytest.mark.parametrize("family", ["mpt", "gpt-neo", "mamba", "falcon with alibi", "bloom"])
def test_the_probe_finds_what_no_list_knows(family: str) -> None:
    model = model_of(*REFUSED[family][:2])
    for parameter in model.parameters():  # far from uniform, as trained models are
        parameter.data *= 3
    with pytest.raises(InvalidInput, match=r"on a pack and|takes no packs|does not say"):
        check_scores(model)
    assert model.training


def test_the_probe_looks_beyond_a_window_that_is_not_where_the_configuration_has_it() -> None:
    model = model_of("Mistral", GROUPED | {"sliding_window": 90})
    check_scores(model)
    own = model.model.forward

    def forward(*args: Any, attention_mask: Any = None, **kwargs: Any) -> Any:
        model.config.sliding_window = 90 if attention_mask is not None else 89
        return own(*args, attention_mask=attention_mask, **kwargs)

    model.model.forward = forward  # by itself, another window than on packs
    with pytest.raises(InvalidInput, match="on a pack and"):
        check_scores(model)
    model.config.sliding_window = 90
    check_scores(model, longest=80)  # nothing leaves the window
