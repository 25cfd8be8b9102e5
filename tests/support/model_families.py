"""Tiny untrained models of many families, their windows shorter than a test's histories."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import transformers
from transformers import AutoModelForCausalLM

VOCABULARY = 97
WINDOW = 16

_DEEPSEEK: dict[str, Any] = {
    "q_lora_rank": 16,
    "kv_lora_rank": 16,
    "head_dim": 8,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 8,
    "v_head_dim": 16,
    "n_routed_experts": 4,
    "n_group": 1,
    "topk_group": 1,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 16,
}
_SLIDING_AND_FULL = {
    "sliding_window": WINDOW,
    "layer_types": ["sliding_attention", "full_attention"],
}
_EXPERTS = {"num_local_experts": 4, "num_experts_per_tok": 2}
_GPT = {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 256}
_MAMBA = {
    "mamba_n_heads": 4,
    "mamba_d_head": 16,
    "mamba_d_state": 8,
    "mamba_n_groups": 1,
    "mamba_chunk_size": 8,
}
_LINEAR = {
    "layer_types": ["linear_attention", "full_attention"],
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 2,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
}


def _modern(name: str, **settings: Any) -> Callable[[], Any]:
    """A configuration in the words most have."""
    size = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": 256,
    }
    return _other(name, **{**size, **settings})


def _other(name: str, **settings: Any) -> Callable[[], Any]:
    special = {"vocab_size": VOCABULARY, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    return lambda: getattr(transformers, name)(**special, **settings)


SIDE_BY_SIDE = {
    "llama": _modern("LlamaConfig"),
    "qwen2": _modern("Qwen2Config", use_sliding_window=True, sliding_window=WINDOW),
    "qwen3": _modern("Qwen3Config"),
    "mistral": _modern("MistralConfig", sliding_window=WINDOW),
    "mixtral": _modern("MixtralConfig", sliding_window=WINDOW, **_EXPERTS),
    "gemma2": _modern("Gemma2Config", **_SLIDING_AND_FULL),
    "gemma3": _modern("Gemma3TextConfig", **_SLIDING_AND_FULL),
    "gemma4": _modern(
        "Gemma4TextConfig",
        sliding_window=WINDOW,
        layer_types=["sliding_attention", "full_attention"] * 2,
        num_hidden_layers=4,
        num_kv_shared_layers=2,
        hidden_size_per_layer_input=8,
        vocab_size_per_layer_input=VOCABULARY,
        global_head_dim=32,
    ),
    "gpt_oss": _modern("GptOssConfig", **_SLIDING_AND_FULL, **_EXPERTS),
    "llama4": _modern(
        "Llama4TextConfig",
        attention_chunk_size=WINDOW,
        layer_types=["chunked_attention", "full_attention"],
        no_rope_layers=[1, 0],
        intermediate_size_mlp=48,
        num_local_experts=2,
        moe_layers=[],
    ),
    "cohere2": _modern("Cohere2Config", **_SLIDING_AND_FULL),
    "olmo3": _modern("Olmo3Config", **_SLIDING_AND_FULL),
    "phi3": _modern("Phi3Config", sliding_window=WINDOW),
    "deepseek_v3": _modern(
        "DeepseekV3Config",
        **_DEEPSEEK,
        first_k_dense_replace=1,
    ),
    "gpt2": _other("GPT2Config", **_GPT),
    "gpt_neo": _other(
        "GPTNeoConfig",
        hidden_size=32,
        num_layers=2,
        num_heads=2,
        attention_types=[[["global", "local"], 1]],
        window_size=WINDOW,
        max_position_embeddings=256,
    ),
    "opt": _other(
        "OPTConfig",
        hidden_size=32,
        word_embed_proj_dim=32,
        ffn_dim=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=256,
    ),
    "bloom": _other("BloomConfig", hidden_size=32, n_layer=2, n_head=2),
    "falcon": _other(
        "FalconConfig", hidden_size=32, num_hidden_layers=2, num_attention_heads=2, alibi=True
    ),
    "mpt": _other("MptConfig", d_model=32, n_layers=2, n_heads=2, max_seq_len=256),
}

ONE_AT_A_TIME = {
    "qwen3_next": _modern(
        "Qwen3NextConfig",
        num_experts=0,
        decoder_sparse_step=1000,
        mlp_only_layers=[0, 1],
        **_LINEAR,
    ),
    "qwen3_5_text": _modern("Qwen3_5TextConfig", **_LINEAR),
    "lfm2": _modern(
        "Lfm2Config", layer_types=["conv", "full_attention"], block_auto_adjust_ff_dim=False
    ),
    "mamba": _other("MambaConfig", hidden_size=32, num_hidden_layers=2, state_size=8),
    "jamba": _modern(
        "JambaConfig",
        attn_layer_period=2,
        attn_layer_offset=1,
        num_experts=2,
        mamba_d_state=8,
        use_mamba_kernels=False,
    ),
    "falcon_h1": _modern("FalconH1Config", mamba_d_ssm=64, **_MAMBA),
    "bart": _other(
        "BartConfig",
        d_model=32,
        decoder_layers=2,
        decoder_attention_heads=2,
        decoder_ffn_dim=48,
        max_position_embeddings=256,
    ),
}

REFUSED = {
    "deepseek_v32": _modern(
        "DeepseekV32Config",
        **_DEEPSEEK,
        index_n_heads=2,
        index_head_dim=16,
    ),
    "minimax": _modern(
        "MiniMaxConfig",
        layer_types=["full_attention", "linear_attention"],
        num_local_experts=4,
        block_size=8,
    ),
    "recurrent_gemma": _modern("RecurrentGemmaConfig", lru_width=32, attention_window_size=WINDOW),
    "rwkv": _other("RwkvConfig", hidden_size=32, num_hidden_layers=2, intermediate_size=48),
    "openai-gpt": _other("OpenAIGPTConfig", **_GPT),
}


def family_model(configuration: Any) -> Any:
    """Float32, its weights large enough for every layer to be heard in the logits."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(configuration, dtype=torch.float32).eval()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.mul_(2.0)
    return model
