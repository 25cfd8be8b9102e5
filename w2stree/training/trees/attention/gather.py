"""Gather: a block of queries after the other, against the keys that any of them sees. Any device.

    pack     u a b c d e        blocks of 2   queries   keys          mask
                                              u a       u a           ■    ■ ■
                                              b c       u a b c       ■ ■ ■    ■ ■ ■ ■
                                              d e       u a b d e     ■ ■ ■ ■    ■ ■     ■

In pre-order, what a block sees outside itself are the ancestors of its first node. So attention
costs a block's path and the block, not the pack. Nothing but queries, keys and values is kept for
the backward pass, which gathers again: beyond them, memory holds one block at a time, and the masks
of all blocks, a byte a query and key.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention

from w2stree.training.trees.attention.masks import Rule, masks


def arguments(
    model: Any, position: torch.Tensor, end: torch.Tensor, block: int | None = None
) -> dict[str, Any]:
    """`tree_attention`, what attends, and which of its blocks as `attention_mask`.

    `position` and `end` as in `Pack`; `block`: queries at a time, `block_size` of the device if
    None.
    """
    size = block or block_size(position.device)
    gathers: list[list[Block]] = []

    def make(rule: Rule | None) -> torch.Tensor:
        gathers.append(blocks(position, end, rule, size))
        # Masks of four axes reach a model's layers as they are; this one says which.
        return torch.full((1, 1, 1, 1), len(gathers) - 1)

    chosen = masks(model, int(position.max()) + 1, make)
    return {"attention_mask": chosen, "tree_attention": Gather(gathers)}


def block_size(device: torch.device) -> int:
    """Large enough that a call's own cost is small beside its keys."""
    return 64 if device.type == "cpu" else 1024


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Queries that stand together, and what they see."""

    queries: slice
    keys: torch.Tensor
    """`[num_keys]` nodes, ascending."""
    mask: torch.Tensor
    """`[num_queries, num_keys]` bool."""


def blocks(position: torch.Tensor, end: torch.Tensor, rule: Rule | None, size: int) -> list[Block]:
    """The pack's nodes in blocks of `size`, the last one smaller."""
    found = []
    node = torch.arange(len(end), device=end.device)
    for begin in range(0, len(end), size):
        queries = slice(begin, min(begin + size, len(end)))
        keys = torch.cat([node[:begin][end[:begin] > begin], node[queries]])
        query = node[queries][:, None]
        mask = (keys <= query) & (query < end[keys])
        if rule is not None:
            mask &= rule(position[queries][:, None], position[keys])
            seen = mask.any(0)  # what lies before all windows is not gathered
            keys, mask = keys[seen], mask[:, seen]
        found.append(Block(queries, keys, mask))
    return found


class Gather:
    """Attention over the blocks of one pack."""

    def __init__(self, blocks: list[list[Block]]) -> None:
        self.blocks = blocks
        """By rule."""

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
        found: torch.Tensor = _Attention.apply(  # type: ignore[no-untyped-call]
            query, key, value, self.blocks[int(attention_mask)], scaling
        )
        return found


class _Attention(torch.autograd.Function):
    """Sees to it that no gathered key outlives its block."""

    @staticmethod
    def forward(ctx: Any, query: Any, key: Any, value: Any, blocks: Any, scaling: Any) -> Any:
        ctx.save_for_backward(query, key, value)
        ctx.blocks, ctx.scaling = blocks, scaling
        out = query.new_empty(*query.shape[:-1], value.shape[-1])
        for block in blocks:
            q, k, v = _of(block, query, key, value)
            out[:, :, block.queries] = _sdpa(q, k, v, block.mask, scaling)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        query, key, value = ctx.saved_tensors
        to_query = torch.empty_like(query)
        to_key, to_value = torch.zeros_like(key), torch.zeros_like(value)
        for block in ctx.blocks:
            with torch.enable_grad():
                pieces = _of(block, query, key, value)
                q, k, v = given = [t.detach().requires_grad_() for t in pieces]
                out = _sdpa(q, k, v, block.mask, ctx.scaling)
            to_query[:, :, block.queries], of_key, of_value = torch.autograd.grad(
                out, given, grad[:, :, block.queries]
            )
            to_key.index_add_(2, block.keys, of_key)
            to_value.index_add_(2, block.keys, of_value)
        return to_query, to_key, to_value, None, None


def _of(block: Block, query: Any, key: Any, value: Any) -> tuple[Any, Any, Any]:
    return (
        query[:, :, block.queries],
        key.index_select(2, block.keys),
        value.index_select(2, block.keys),
    )


def _sdpa(query: Any, key: Any, value: Any, mask: Any, scaling: Any) -> torch.Tensor:
    repeated = query.shape[1] // key.shape[1]
    if repeated > 1:  # SDPA's own grouping leaves the fast kernels where there is a mask
        key, value = (t.repeat_interleave(repeated, 1) for t in (key, value))
    return scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scaling)
