"""Families of models and attention backends: packs train as sequences do, one at a time.

In float64, with every norm, softmax and rotation of the family kept in float64 too (they compute in
float32, and would hide errors below 1e-7).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

torch = pytest.importorskip("torch")
import numpy as np  # noqa: E402
import transformers  # noqa: E402
from peft import LoraConfig, get_peft_model  # noqa: E402
from torch.nn.functional import logsigmoid  # noqa: E402
from transformers import AutoModelForCausalLM  # noqa: E402

from w2stree.training.trees.attention import gather  # noqa: E402
from w2stree.training.trees.attention.forward import (  # noqa: E402
    tree_attention,
)
from w2stree.training.trees.families import why_unshared  # noqa: E402
from w2stree.training.trees.pack import pack  # noqa: E402
from w2stree.training.trees.scores import PackTensors, scores  # noqa: E402
from w2stree.training.trees.sequences import ScoredIds  # noqa: E402

pytestmark = pytest.mark.train

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
    return model.train()


class Wide:
    """torch, but that its float32 is float64."""

    def __getattr__(self, name: str) -> Any:
        return torch.float64 if name in ("float32", "float") else getattr(torch, name)


@pytest.fixture
def in_float64(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)

    def widen(model: Any) -> Any:
        monkeypatch.setattr(sys.modules[type(model).__module__], "torch", Wide())
        return model.double()

    yield widen


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gather, "block_size", lambda device: 5)


def forest(seed: int = 0) -> list[ScoredIds]:
    """Two trees with endings inside, duplicates, and branches of one token."""
    draw = np.random.default_rng(seed)
    found: list[ScoredIds] = []
    for tree in range(2):
        grown = [draw.integers(0, VOCABULARY, 14)]
        for length in (9, 1, 0, 5, 0, 1, 3):
            base = grown[draw.integers(len(grown))]
            kept = base[: draw.integers(2, len(base) + 1)]
            grown.append(np.concatenate([kept, draw.integers(0, VOCABULARY, length)]))
        for ids in grown:
            weight = draw.integers(0, 2, len(ids))
            weight[0], weight[-1] = 0, 1
            found.append(ScoredIds.of(ids, weight, tree))
    return found


def alone(model: Any, sequence: ScoredIds) -> torch.Tensor:
    ids = torch.from_numpy(sequence.ids).long()
    logprobs = model(input_ids=ids[None], use_cache=False).logits[0, :-1].log_softmax(-1)
    return logprobs.gather(1, ids[1:, None])[:, 0] @ torch.from_numpy(sequence.weight)[1:].to(
        logprobs.dtype
    )


def loss_of(found: torch.Tensor) -> torch.Tensor:
    return -logsigmoid(0.3 * (found[::2] - found[1::2])).mean() - found.mean() / 10


def apart(model: Any, sequences: list[ScoredIds]) -> torch.Tensor:
    return torch.stack([alone(model, s) for s in sequences])


def assert_same_training(
    model: Any, backend: str, *, loss_to: float, gradient_to: float, packed: Any = None
) -> None:
    sequences = forest()
    expected = loss_of(apart(model, sequences))
    parameters = {n: p for n, p in model.named_parameters() if p.requires_grad}
    gradients = torch.autograd.grad(expected, list(parameters.values()), allow_unused=True)
    model.zero_grad()
    with tree_attention(model):
        together = scores(packed or model, PackTensors.of(pack(sequences)), backend)
        loss = loss_of(together)
        loss.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=loss_to)
    for (name, parameter), gradient in zip(parameters.items(), gradients, strict=True):
        if gradient is None:  # an expert that no token was sent to
            assert parameter.grad is None or not parameter.grad.any(), name
            continue
        largest = max(1.0, float(gradient.abs().max()))
        assert float((parameter.grad - gradient).abs().max()) <= gradient_to * largest, name


@pytest.mark.parametrize("backend", ["dense", "gather"])
@pytest.mark.parametrize("adapted", [False, True], ids=["full", "lora"])
@pytest.mark.parametrize("family", FAMILIES)
def test_families_train_on_packs_as_on_sequences(
    family: str, adapted: bool, backend: str, in_float64: Any
) -> None:
    if backend == "gather" and family in MASKED_ALONE:
        pytest.skip("attends by masks alone")
    model = in_float64(model_of(*FAMILIES[family]))
    assert why_unshared(model) is None
    if adapted:
        model = get_peft_model(model, LoraConfig(r=2, target_modules="all-linear")).double()
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.data.normal_(std=0.2)
    assert_same_training(model, backend, loss_to=1e-12, gradient_to=1e-10)
