"""How long a history a model can read, of the configurations people have."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("transformers")

import transformers

from w2stree.policies.positions import max_positions

pytestmark = pytest.mark.train

YARN = {
    "rope_type": "yarn",
    "factor": 4.0,
    "rope_theta": 1e6,
    "original_max_position_embeddings": 32_768,
}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "rope_theta": 5e5,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8_192,
}
LONGROPE = {
    "rope_type": "longrope",
    "rope_theta": 1e4,
    "short_factor": [1.0] * 48,
    "long_factor": [4.0] * 48,
}


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        ("LlamaConfig", {"max_position_embeddings": 4096}, 4096),
        ("LlamaConfig", {"max_position_embeddings": 131_072, "rope_parameters": LLAMA3}, 131_072),
        ("Qwen2Config", {"max_position_embeddings": 32_768, "rope_parameters": YARN}, 131_072),
        ("Qwen2Config", {"max_position_embeddings": 131_072, "rope_parameters": YARN}, 131_072),
        (
            "Phi3Config",
            {
                "max_position_embeddings": 131_072,
                "original_max_position_embeddings": 4096,
                "rope_parameters": LONGROPE,
            },
            4096,
        ),
        ("Gemma3Config", {"text_config": {"max_position_embeddings": 8192}}, 8192),
        ("GPT2Config", {"n_positions": 1024}, 1024),
        ("OPTConfig", {"max_position_embeddings": 2048}, 2048),
        ("FalconConfig", {"alibi": False}, 2048),
        ("FalconConfig", {"alibi": True}, None),
        ("BloomConfig", {}, None),
        ("MptConfig", {}, None),
        ("MambaConfig", {}, None),
    ],
)
def test_positions(name: str, settings: dict[str, Any], expected: int | None) -> None:
    assert max_positions(getattr(transformers, name)(**settings)) == expected
