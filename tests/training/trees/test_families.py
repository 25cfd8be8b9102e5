from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

torch = pytest.importorskip("torch")
import numpy as np  # noqa: E402
from support.training_families import (  # noqa: E402
    FAMILIES,
    MASKED_ALONE,
    VOCABULARY,
    model_of,
    with_lora,
)
from torch.nn.functional import logsigmoid  # noqa: E402

from w2stree.errors import InvalidInput  # noqa: E402
from w2stree.training.trees.attention.forward import (  # noqa: E402
    forward_arguments,
    implementation,
    tree_attention,
)
from w2stree.training.trees.families import why_unshared  # noqa: E402
from w2stree.training.trees.pack import pack  # noqa: E402
from w2stree.training.trees.scores import PackTensors, scores  # noqa: E402
from w2stree.training.trees.sequences import ScoredIds  # noqa: E402

pytestmark = [pytest.mark.train, pytest.mark.usefixtures("small_blocks")]


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
