"""Families of models and attention backends: packs train as sequences do, one at a time.

In float64, with every norm, softmax and rotation of the family kept in float64 too (they compute in
float32, and would hide errors below 1e-7).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest

torch = pytest.importorskip("torch")
import numpy as np  # noqa: E402
import transformers  # noqa: E402
from peft import LoraConfig, PrefixTuningConfig, get_peft_model  # noqa: E402
from torch.nn.functional import logsigmoid  # noqa: E402
from transformers import AutoModelForCausalLM  # noqa: E402

from w2stree.errors import InvalidInput  # noqa: E402
from w2stree.training.trees.attention import gather  # noqa: E402
from w2stree.training.trees.attention.forward import (  # noqa: E402
    forward_arguments,
    implementation,
    tree_attention,
)
from w2stree.training.trees.families import why_unshared  # noqa: E402
from w2stree.training.trees.pack import pack  # noqa: E402
from w2stree.training.trees.probe import check_scores  # noqa: E402
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
        model = with_lora(model).double()
    assert_same_training(model, backend, loss_to=1e-12, gradient_to=1e-10)


@pytest.mark.parametrize("backend", ["dense", "gather"])
@pytest.mark.parametrize("family", ["llama", "mistral beyond its window", "gemma3"])
def test_gradient_checkpointing_attends_again(family: str, backend: str, in_float64: Any) -> None:
    model = in_float64(model_of(*FAMILIES[family]))
    model.activation_checkpointing_enable()
    assert_same_training(model, backend, loss_to=1e-12, gradient_to=1e-10)


@pytest.mark.parametrize("backend", ["dense", "gather"])
def test_float32_is_as_near_as_its_rounding(backend: str) -> None:
    model = model_of(*FAMILIES["qwen3"])
    assert_same_training(model, backend, loss_to=1e-5, gradient_to=1e-4)


@pytest.mark.parametrize("backend", ["dense", "gather"])
def test_bfloat16_autocast(backend: str) -> None:
    model = model_of(*FAMILIES["llama"])
    with torch.autocast("cpu", torch.bfloat16):
        assert_same_training(model, backend, loss_to=2e-2, gradient_to=5e-2)


def test_through_ddp(in_float64: Any, tmp_path: Any) -> None:
    model = in_float64(model_of(*FAMILIES["gemma3"]))
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path / 'ranks'}", rank=0, world_size=1
    )
    try:
        wrapped = torch.nn.parallel.DistributedDataParallel(model)
        assert_same_training(model, "gather", loss_to=1e-12, gradient_to=1e-10, packed=wrapped)
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.parametrize("loaded", ["sdpa", "eager", "flex_attention"])
def test_a_model_attends_as_before_afterwards(loaded: str) -> None:
    model = model_of(*FAMILIES["mistral beyond its window"]).eval()
    model.set_attn_implementation(loaded)
    prompt = torch.arange(12)[None]

    def says() -> torch.Tensor:
        given = {"max_new_tokens": 8, "do_sample": False, "pad_token_id": 0}
        return model.generate(prompt, attention_mask=torch.ones_like(prompt), **given)

    before = says() if loaded != "flex_attention" else None
    with pytest.raises(KeyError), tree_attention(model):
        with torch.no_grad():
            scores(model, PackTensors.of(pack(forest())))
        if before is not None:
            assert torch.equal(says(), before), "within, in a pass without a pack"
        raise KeyError
    assert implementation(model) == loaded
    if before is not None:
        assert torch.equal(says(), before)


@pytest.mark.parametrize(
    ("loaded", "backend", "kind"),
    [("sdpa", "auto", "tree"), ("sdpa", "dense", "bool"), ("eager", "auto", "float")],
)
def test_auto_takes_what_the_model_takes(loaded: str, backend: str, kind: str) -> None:
    model = model_of(*FAMILIES["llama"])
    model.set_attn_implementation(loaded)
    tensors = PackTensors.of(pack(forest()))
    with tree_attention(model):
        given = forward_arguments(model, tensors, backend)
    dtype = given["attention_mask"].dtype
    assert ("tree_attention" in given) == (kind == "tree")
    assert {"bool": torch.bool, "float": torch.float32}.get(kind, dtype) == dtype


def test_small_packs_take_one_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the blocks' own size
    model = model_of(*FAMILIES["llama"])
    with tree_attention(model):
        assert "tree_attention" not in forward_arguments(
            model, PackTensors.of(pack(forest())), "auto"
        )


def test_gathering_is_refused_where_it_cannot_be() -> None:
    model = model_of(*FAMILIES["gemma2"])
    with (
        tree_attention(model),
        pytest.raises(InvalidInput, match="attention takes no gather"),
    ):
        forward_arguments(model, PackTensors.of(pack(forest())), "gather")
    with pytest.raises(InvalidInput, match="'flash' is none of auto, dense"):
        forward_arguments(model, PackTensors.of(pack(forest())), "flash")


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
