"""Flex: PyTorch's FlexAttention with the pack's blocks, full, in part or left out. CUDA only.

     block of keys K for a block of queries Q          m = end of a key's subtree
     none   first(K) > last(Q), or no m in K reaches Q
     full   last(K) <= first(Q), and all m in K are beyond last(Q)
     part   else: the mask is read, query by query

Which is which follows from the blocks' minima and maxima: O((N / 128)²), no mask of N². The blocks
and the mask are tested on the CPU. FlexAttention has no backward pass there, and on a GPU this has
not been run.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.attention.flex_attention import BlockMask
from torch.nn.functional import pad
from transformers.integrations.flex_attention import compile_friendly_flex_attention

from w2stree.training.trees.attention.masks import Rule, masks

_BLOCK = 128


def arguments(model: Any, position: torch.Tensor, end: torch.Tensor) -> dict[str, Any]:
    """`tree_attention`, and which of its block masks as `attention_mask`."""
    made: list[BlockMask] = []

    def make(rule: Rule | None) -> torch.Tensor:
        made.append(block_mask(position, end, rule))
        return torch.full((1, 1, 1, 1), len(made) - 1)

    chosen = masks(model, int(position.max()) + 1, make)
    return {"attention_mask": chosen, "tree_attention": Flex(made)}


def block_mask(position: torch.Tensor, end: torch.Tensor, rule: Rule | None) -> BlockMask:
    """Of a pack, `position` and `end` as in `Pack`. With a window no block counts as full."""
    num_nodes = len(end)
    num_blocks = -(-num_nodes // _BLOCK)
    more = num_blocks * _BLOCK - num_nodes
    first = torch.arange(num_blocks, device=end.device) * _BLOCK
    last = (first + _BLOCK - 1).clamp(max=num_nodes - 1)
    furthest = pad(end, (0, more), value=0).view(-1, _BLOCK).amax(1)
    nearest = pad(end, (0, more), value=num_nodes).view(-1, _BLOCK).amin(1)
    # by query block, key block
    is_seen = (first <= last[:, None]) & (furthest > first[:, None])
    is_full = (last < first[:, None]) & (nearest > last[:, None])
    is_full &= last[:, None] - first[:, None] == _BLOCK - 1  # a last block has rows beyond the pack
    if rule is not None:
        is_full = torch.zeros_like(is_full)

    def sees(batch: Any, head: Any, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        found = (key <= query) & (query < end[key])
        return found if rule is None else found & rule(position[query], position[key])

    return BlockMask.from_kv_blocks(
        *_listed(is_seen & ~is_full),
        *_listed(is_full),
        BLOCK_SIZE=_BLOCK,
        mask_mod=sees,
        seq_lengths=(num_nodes, num_nodes),
    )


def _listed(is_there: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """How many key blocks each query block has, and which, these first."""
    count = is_there.sum(-1).to(torch.int32)
    which = is_there.to(torch.int32).argsort(dim=-1, descending=True, stable=True).to(torch.int32)
    return count[None, None], which[None, None].contiguous()


class Flex:
    """Attention by the block masks of one pack."""

    def __init__(self, made: list[BlockMask]) -> None:
        self.made = made
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
        found: torch.Tensor = compile_friendly_flex_attention(
            query,
            key,
            value,
            training=torch.is_grad_enabled(),
            block_mask=self.made[int(attention_mask)],
            enable_gqa=query.shape[1] != key.shape[1],
            scale=scaling,
        )
        return found
