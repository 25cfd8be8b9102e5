"""Dense: every query against every key, masked. Any device, SDPA and eager attention.

One mask for all layers, or one a kind of layer. N nodes take N² bytes a mask: 64 MB at 8,192.
"""

from __future__ import annotations

from typing import Any

import torch

from w2stree.training.trees.attention.masks import Rule, masks


def arguments(model: Any, position: torch.Tensor, end: torch.Tensor) -> dict[str, Any]:
    """`attention_mask`, of the kind that the model's attention adds to or selects by.

    `position` and `end` as in `Pack`; masks are `[1, 1, num_nodes, num_nodes]`.
    """
    sees = ancestors(end)[None, None]
    is_eager = model.config.get_text_config()._attn_implementation == "eager"

    def make(rule: Rule | None) -> torch.Tensor:
        seen = sees if rule is None else sees & rule(position[:, None], position)
        # Eager attention adds its mask: a bool would be added as 0 and 1.
        return _added(seen, model.dtype) if is_eager else seen

    return {"attention_mask": masks(model, int(position.max()) + 1, make)}


def ancestors(end: torch.Tensor) -> torch.Tensor:
    """`[num_nodes, num_nodes]` bool: whether key k is query q or its ancestor."""
    i = torch.arange(len(end), device=end.device)
    return (i <= i[:, None]) & (i[:, None] < end)


def _added(seen: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill(
        ~seen, torch.finfo(dtype).min
    )
