"""Varlen: flash attention over the runs of a pack, each against the keys of its path. CUDA only.

A run is what `paths` calls one: its queries are the last tokens of a sequence that ends at a leaf,
which is what a causal `flash_attn_varlen_func` computes of fewer queries than keys. Paths' keys are
gathered once a layer: they take the sum of the paths' lengths.

Its indices are tested on the CPU against dense attention. The kernel has not been run with them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch

from w2stree.errors import InvalidInput, MissingDependency
from w2stree.training.trees.attention.masks import Rule, masks
from w2stree.training.trees.attention.paths import Paths


def arguments(model: Any, position: torch.Tensor) -> dict[str, Any]:
    """`tree_attention`, and the window of a kind of layer as `attention_mask` (0: none)."""
    depth = torch.arange(int(position.max()) + 1)

    def make(rule: Rule | None) -> torch.Tensor:
        window = 0 if rule is None else _window(model, rule, depth)
        return torch.full((1, 1, 1, 1), window)

    chosen = masks(model, len(depth), make)
    paths = Paths.of(position.cpu().numpy())
    return {"attention_mask": chosen, "tree_attention": Varlen(paths, position.device)}


def _window(model: Any, rule: Rule, depth: torch.Tensor) -> int:
    """How many tokens each one sees, itself among them."""
    seen = int(rule(depth[-1:], depth).sum())
    nearest = (depth > depth[:, None] - seen) & (depth <= depth[:, None])
    if not torch.equal(rule(depth[:, None], depth), nearest):
        raise InvalidInput(
            f"{type(model).__name__} has windows of another kind than the last so many tokens, "
            "which varlen attention does not know; use 'gather'"
        )
    return seen


class Varlen:
    """Attention over the runs of one pack."""

    def __init__(self, paths: Paths, device: Any) -> None:
        self.key = torch.from_numpy(paths.key).to(device)
        self.offsets = [
            torch.from_numpy(offset).to(device, torch.int32)
            for offset in (paths.query_offset, paths.key_offset)
        ]
        self.longest = [
            int((offset[1:] - offset[:-1]).max())
            for offset in (paths.query_offset, paths.key_offset)
        ]

    def attend(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attention_mask: torch.Tensor,
        *,
        scaling: float | None = None,
        **_: Any,
    ) -> torch.Tensor:
        """`[1, heads, num_nodes, head_dim]` of the same; keys and values may have fewer heads."""
        window = int(attention_mask)
        q, k, v = (t[0].transpose(0, 1) for t in (query, key, value))
        found = flash_attention()(
            q.contiguous(),
            k.index_select(0, self.key),
            v.index_select(0, self.key),
            *self.offsets,
            *self.longest,
            softmax_scale=scaling,
            causal=True,
            window_size=(window - 1, 0) if window else (-1, -1),
        )
        out: torch.Tensor = found[0] if isinstance(found, tuple) else found
        return out.transpose(0, 1)[None]


@cache
def flash_attention() -> Callable[..., Any]:
    """`flash_attn_varlen_func`, of the package of its name.

    Raises `MissingDependency` without it.
    """
    try:
        from flash_attn import flash_attn_varlen_func  # type: ignore[import-not-found]
    except ImportError as error:
        raise MissingDependency(
            "varlen attention needs flash-attn and a CUDA GPU: pip install flash-attn "
            "--no-build-isolation; 'gather' needs neither"
        ) from error
    found: Callable[..., Any] = flash_attn_varlen_func
    return found
