"""Attention on one pack, forward and backward, by one mask and gathered: `dense` and `gather`.

python -m bench.training.attention
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from torch.nn.functional import scaled_dot_product_attention

from w2stree.training.trees.attention.dense import ancestors
from w2stree.training.trees.attention.gather import Gather, block_size, blocks
from w2stree.training.trees.pack import pack
from w2stree.training.trees.scores import PackTensors
from w2stree.training.trees.sequences import ScoredIds

HEADS, HEAD_DIM = 12, 64
SHAPES = {"120 short branches": (4, 100, 30, 10), "48 long branches": (4, 400, 12, 100)}
"""Trees, and of each: the tokens that runs share at most, its branches, a branch's own tokens."""


def packed(trees: int, trunk: int, branches: int, own: int) -> PackTensors:
    draw = np.random.default_rng(0)
    sequences = []
    for tree in range(trees):
        shared = draw.integers(0, 500, trunk)
        for _ in range(branches):
            kept = shared[: draw.integers(trunk // 4, trunk)]
            ids = np.concatenate([kept, draw.integers(0, 500, own)])
            sequences.append(ScoredIds.of(ids, [0] + [1] * (len(ids) - 1), tree))
    return PackTensors.of(pack(sequences))


def milliseconds(attend: Callable[[], torch.Tensor]) -> float:
    """The least of three, by processor time."""
    found = []
    for _ in range(3):
        begin = time.process_time()
        attend().sum().backward()
        found.append((time.process_time() - begin) * 1e3)
    return min(found)


def measured(tensors: PackTensors) -> tuple[float, float]:
    """Milliseconds of `dense` and of `gather`, after asserting that they agree."""
    shape = (1, HEADS, len(tensors.token), HEAD_DIM)
    q, k, v = (torch.randn(shape, requires_grad=True) for _ in range(3))
    size = block_size(torch.device("cpu"))
    gather = Gather([blocks(tensors.position, tensors.end, None, size)])
    mask, rule = ancestors(tensors.end)[None, None], torch.zeros(1, 1, 1, 1, dtype=torch.long)

    def dense() -> torch.Tensor:
        return scaled_dot_product_attention(q, k, v, attn_mask=mask)

    def gathered() -> torch.Tensor:
        return gather.attend(q, k, v, rule)

    torch.testing.assert_close(gathered(), dense())
    return milliseconds(dense), milliseconds(gathered)


def main() -> None:
    torch.set_num_threads(1)
    for name, shape in SHAPES.items():
        tensors = packed(*shape)
        dense, gather = measured(tensors)
        print(
            f"{name}, {len(tensors.token):,} tokens: dense {dense:,.0f} ms, gather {gather:,.0f} "
            f"ms, {dense / gather:.1f}x"
        )


if __name__ == "__main__":
    main()
