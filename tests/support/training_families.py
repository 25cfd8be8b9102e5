"""Tiny models of the families that transformers knows, all their weights drawn."""

from __future__ import annotations

from typing import Any

import torch
import transformers
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

VOCABULARY = 19
SMALL = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 128,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
}
GROUPED = SMALL | {"num_key_value_heads": 2}
HEADS = GROUPED | {"head_dim": 4}
EXPERTS = {"num_experts_per_tok": 2, "moe_intermediate_size": 8}
GPT2 = {
    "vocab_size": VOCABULARY,
    "n_embd": 16,
    "n_layer": 2,
    "n_head": 2,
    "n_positions": 128,
    "bos_token_id": None,
    "eos_token_id": None,
}
UNDROPPED = {"attn_pdrop": 0.0, "resid_pdrop": 0.0, "embd_pdrop": 0.0}
SLIDING = {"layer_types": ["sliding_attention", "full_attention"], "sliding_window": 5}

FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", GROUPED),
    "qwen2": ("Qwen2", GROUPED),
    "qwen2 beyond its window": (
        "Qwen2",
        GROUPED | {"use_sliding_window": True, "sliding_window": 5, "max_window_layers": 1},
    ),
    "qwen3": ("Qwen3", HEADS),
    "qwen3 moe": ("Qwen3Moe", HEADS | EXPERTS | {"num_experts": 4}),
    "mistral": ("Mistral", GROUPED | {"sliding_window": None}),
    "mistral within its window": ("Mistral", GROUPED | {"sliding_window": 100}),
    "mistral beyond its window": ("Mistral", GROUPED | {"sliding_window": 5}),
    "mixtral": ("Mixtral", GROUPED | {"num_local_experts": 3}),
    "gemma": ("Gemma", HEADS),
    "gemma2": ("Gemma2", HEADS | {"sliding_window": 5}),
    "gemma3": ("Gemma3Text", HEADS | SLIDING),
    "phi3": ("Phi3", GROUPED | {"sliding_window": 6}),
    "gpt2": ("GPT2", GPT2 | UNDROPPED),
    "gpt-neox": ("GPTNeoX", SMALL),
    "gpt-j": ("GPTJ", GPT2 | UNDROPPED | {"rotary_dim": 4}),
    "falcon": ("Falcon", SMALL),
    "olmo2": ("Olmo2", GROUPED),
    "cohere2": ("Cohere2", HEADS | {"sliding_window": 5}),
    "starcoder2": (
        "Starcoder2",
        GROUPED | {"sliding_window": 5, "residual_dropout": 0.0, "embedding_dropout": 0.0},
    ),
    "stablelm": ("StableLm", GROUPED),
    "smollm3": ("SmolLM3", GROUPED),
    "deepseek v3": (
        "DeepseekV3",
        SMALL
        | EXPERTS
        | {
            "num_key_value_heads": 4,
            "q_lora_rank": 8,
            "kv_lora_rank": 8,
            "qk_rope_head_dim": 4,
            "qk_nope_head_dim": 4,
            "v_head_dim": 6,
            "n_routed_experts": 4,
            "n_group": 2,
            "topk_group": 1,
            "first_k_dense_replace": 1,
        },
    ),
}
EAGER_ALONE = {"gemma2", "gpt-j"}  # one for its capped logits, one for its own attention
MASKED_ALONE = EAGER_ALONE | {"falcon", "stablelm"}  # attention of their own, that takes masks


def config_of(name: str, values: dict[str, Any]) -> Any:
    return getattr(transformers, f"{name}Config")(**values)


def model_of(name: str, values: dict[str, Any]) -> Any:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config_of(name, values))
    for parameter in model.parameters():  # norms and biases begin as ones and zeros
        parameter.data += 0.1 * torch.randn_like(parameter)
    if hasattr(model.config, "num_experts_per_tok"):
        model.set_experts_implementation("eager")  # grouped products know no float64
    return model.train()


def with_lora(model: Any, **values: Any) -> Any:
    is_gpt2 = model.config.model_type == "gpt2"
    targets: Any = ["c_attn"] if is_gpt2 else r".*\.(q|k|v|o|qkv|kv_b)_proj"
    if model.config.model_type in ("gpt_neox", "gptj", "falcon"):
        targets = "all-linear"
    config = LoraConfig(r=2, target_modules=targets, fan_in_fan_out=is_gpt2, **values)
    model = get_peft_model(model, config)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:  # zeros at first
            parameter.data.normal_(std=0.2)
    return model
