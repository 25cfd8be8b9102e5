"""Backends whose kernels want a GPU: their indices and masks, on the CPU, against one mask."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
import numpy as np  # noqa: E402
from torch.nn.attention.flex_attention import flex_attention  # noqa: E402
from torch.nn.functional import scaled_dot_product_attention  # noqa: E402
from transformers import MistralConfig, MistralForCausalLM  # noqa: E402

from w2stree.errors import InvalidInput, MissingDependency  # noqa: E402
from w2stree.training.trees.attention import flex, gather, varlen  # noqa: E402
from w2stree.training.trees.attention.dense import ancestors  # noqa: E402
from w2stree.training.trees.attention.forward import forward_arguments, tree_attention  # noqa: E402
from w2stree.training.trees.attention.paths import Paths  # noqa: E402
from w2stree.training.trees.pack import pack  # noqa: E402
from w2stree.training.trees.scores import PackTensors  # noqa: E402
from w2stree.training.trees.sequences import ScoredIds  # noqa: E402

pytestmark = pytest.mark.train


def tensors(seed: int, longest: int = 30) -> PackTensors:
    draw = np.random.default_rng(seed)
    found = []
    for tree in range(int(draw.integers(1, 5))):
        trunk = draw.integers(0, 9, longest)
        for _ in range(int(draw.integers(1, 9))):
            kept = trunk[: draw.integers(1, longest + 1)]
            ids = np.concatenate([kept, draw.integers(0, 9, draw.integers(0, longest))])
            found.append(ScoredIds.of(ids, np.r_[0.0, np.ones(len(ids) - 1)], tree))
    return PackTensors.of(pack(found))


def mask_of(given: PackTensors, window: int | None) -> torch.Tensor:
    seen = ancestors(given.end)
    if window:
        seen &= given.position[:, None] - given.position < window
    return seen


def drawn(given: PackTensors, heads: int = 4) -> list[torch.Tensor]:
    torch.manual_seed(0)
    size = len(given.token)
    shapes = (heads, size, 8), (2, size, 8), (2, size, 8)
    return [torch.randn(1, *shape, dtype=torch.float64, requires_grad=True) for shape in shapes]


def plain_attention(q: Any, k: Any, v: Any, mask: Any) -> torch.Tensor:
    k, v = (t.repeat_interleave(q.shape[1] // k.shape[1], 1) for t in (k, v))
    return scaled_dot_product_attention(q, k, v, attn_mask=mask)


def plain_varlen(q: Any, k: Any, v: Any, *layout: Any, **options: Any) -> torch.Tensor:
    """What `flash_attn_varlen_func` is documented to compute, a segment after the other."""
    q_offset, k_offset, q_longest, k_longest = layout
    assert options["causal"] and q_offset.dtype == k_offset.dtype == torch.int32
    left = options["window_size"][0]
    found = []
    for s in range(len(q_offset) - 1):
        queries, keys = (slice(*o[s : s + 2].tolist()) for o in (q_offset, k_offset))
        n, m = queries.stop - queries.start, keys.stop - keys.start
        assert 0 < n <= q_longest and n <= m <= k_longest
        ahead = torch.arange(m - n, m)[:, None] - torch.arange(m)  # aligned at their ends
        mask = (ahead >= 0) & ((left < 0) | (ahead <= left))
        given = (t.transpose(0, 1)[None] for t in (q[queries], k[keys], v[keys]))
        found.append(plain_attention(*given, mask)[0].transpose(0, 1))
    return torch.cat(found)


def model_with(window: int | None) -> MistralForCausalLM:
    return MistralForCausalLM(
        MistralConfig(
            vocab_size=9,
            hidden_size=8,
            intermediate_size=8,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=2,
            sliding_window=window,
        )
    )


@pytest.mark.parametrize("window", [None, 1, 7, 1000])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("backend", ["gather", "varlen"])
def test_attends_as_one_mask(
    backend: str, seed: int, window: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(varlen, "flash_attention", lambda: plain_varlen)
    given, model = tensors(seed), model_with(window)
    if backend == "gather":
        arguments = gather.arguments(model, given.position, given.end, block=16)
    else:
        arguments = varlen.arguments(model, given.position)
    results = []
    for attend in (
        lambda q, k, v: plain_attention(q, k, v, mask_of(given, window)),
        lambda q, k, v: arguments["tree_attention"].attend(q, k, v, arguments["attention_mask"]),
    ):
        inputs = drawn(given)
        out = attend(*inputs)
        torch.manual_seed(1)
        results.append(
            (out, *torch.autograd.grad(out, inputs, torch.randn(out.shape, dtype=out.dtype)))
        )
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_paths_end_at_leaves_and_have_every_node_as_a_query_once(seed: int) -> None:
    given = tensors(seed)
    paths, seen = Paths.of(given.position.numpy()), ancestors(given.end)
    for run in range(paths.num_runs):
        begin, end = paths.query_offset[run : run + 2]
        key = paths.key[slice(*paths.key_offset[run : run + 2])]
        assert given.end[end - 1] == end, "a leaf"
        assert key[-(end - begin) :].tolist() == list(range(begin, end))
        assert key.tolist() == seen[end - 1].nonzero()[:, 0].tolist()
    assert paths.query_offset[0] == 0 and paths.query_offset[-1] == len(given.token)


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("window", [None, 40])
@pytest.mark.parametrize("seed", range(4))
def test_flex_blocks_are_the_mask(seed: int, window: int | None) -> None:
    given = tensors(seed, longest=300)
    rule = None if window is None else (lambda q, k: q - k < window)
    found = flex.block_mask(given.position, given.end, rule)
    size, mask = len(given.token), mask_of(given, window)
    blocks = torch.nn.functional.pad(mask, (0, -size % 128, 0, -size % 128))
    blocks = blocks.view(-(-size // 128), 128, -1, 128).transpose(1, 2)
    assert torch.equal(found.to_dense()[0, 0].bool(), ancestor_blocks(given, blocks))
    for row in range(len(blocks)):
        full = found.full_kv_indices[0, 0, row, : found.full_kv_num_blocks[0, 0, row]]
        assert blocks[row, full.long()].all(), "nothing is masked in a full block"
    with torch.no_grad():
        q, k, v = (t.detach() for t in drawn(given))
        out = flex_attention(q, k, v, block_mask=found, enable_gqa=True)
        torch.testing.assert_close(out, plain_attention(q, k, v, mask), rtol=1e-10, atol=1e-10)


def ancestor_blocks(given: PackTensors, blocks: torch.Tensor) -> torch.Tensor:
    """Blocks in which any query has an ancestor, its window left out."""
    size = len(given.token)
    seen = torch.nn.functional.pad(ancestors(given.end), (0, -size % 128, 0, -size % 128))
    return seen.view(len(blocks), 128, -1, 128).transpose(1, 2).any(-1).any(-1)


@pytest.mark.parametrize("backend", ["varlen", "flex"])
def test_backends_of_gpus_are_refused_elsewhere(backend: str) -> None:
    model = model_with(None)
    with tree_attention(model), pytest.raises(InvalidInput, match="needs a CUDA GPU"):
        forward_arguments(model, tensors(0), backend)


def test_flash_attention_is_named_where_it_is_missing() -> None:
    pytest.importorskip("torch")
    try:
        import flash_attn  # noqa: F401
    except ImportError:
        with pytest.raises(MissingDependency, match="pip install flash-attn"):
            varlen.flash_attention()
